// How many requests have come to a proxy in this process: a test may wait for that, where nothing else shows it.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Counts the requests that come to `url` from now on, until it is disposed of. */
export function watchArrivals(url: string): { readonly count: number } & Disposable {
  const { port } = new URL(url);
  let count = 0;
  const onStart = (message: unknown): void => {
    const { server } = message as { server: Server };
    if (String((server.address() as AddressInfo).port) === port) count += 1;
  };
  subscribe('http.server.request.start', onStart);
  return {
    get count() {
      return count;
    },
    [Symbol.dispose]: () => void unsubscribe('http.server.request.start', onStart),
  };
}
