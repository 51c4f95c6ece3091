// How busy the connections of a registry are, whatever agent there is and whatever becomes of the requests.
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test, vi } from 'vitest';
import { Transport } from '../../src/registry/transport.ts';
import { waitFor } from '../support/tool.ts';
import { startRawServer, type RawServer } from './raw-server.ts';
import { scaled } from '../support/patience.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** A server that leaves its answers to the test. */
async function startHolding(): Promise<{ server: RawServer; held: ServerResponse[] }> {
  const held: ServerResponse[] = [];
  const server = await startRawServer((_request, response) => void held.push(response));
  closing.push(() => server.close());
  return { server, held };
}

function transportOf(connections: number, useProxy = false): Transport {
  const transport = new Transport({ connections, connectTimeout: scaled(1_000), bodyTimeout: scaled(5_000), useProxy });
  closing.push(() => transport.destroy());
  return transport;
}

const PATHS = ['directly', 'through an HTTP proxy'];

test.each(PATHS)('%s: full while every connection has a request, up to the end of its body', async (path) => {
  const { server, held } = await startHolding();
  const useProxy = path !== 'directly';
  vi.stubEnv('http_proxy', server.url.href);
  vi.stubEnv('no_proxy', '');
  const origin = useProxy ? 'http://registry.invalid' : server.url.origin;
  const transport = transportOf(2, useProxy);
  const asked = [1, 2].map((nth) => transport.request({ origin, path: `/${nth}`, method: 'GET' }));
  await waitFor(() => held.length === 2, { what: 'two requests' });
  expect(transport.isFull(origin)).toBe(true);
  held[0]!.writeHead(200).write('half');
  const first = await Promise.race(asked);
  expect(transport.isFull(origin)).toBe(true);
  held[0]!.end('half');
  expect(await first.body.text()).toBe('halfhalf');
  expect(transport.isFull(origin)).toBe(false);
  held[1]!.end();
  for (const { body } of await Promise.all(asked)) if (body !== first.body) await body.text();
});

test('what fails, is given up, waits, or cannot be sent at all counts for nothing', async () => {
  const { server, held } = await startHolding();
  const { origin } = server.url;
  const transport = transportOf(1);
  const leave = new AbortController();
  const ask = (path: string, at = origin): Promise<unknown> =>
    transport.request({ origin: at, path, method: 'GET', signal: leave.signal }).then(
      () => 'answered',
      () => 'failed',
    );
  const dropped = ask('/dropped');
  await waitFor(() => held.length === 1, { what: 'the first request' });
  held[0]!.socket!.destroy();
  expect(await dropped).toBe('failed');
  expect(transport.isFull(origin)).toBe(false);
  const given = [ask('/given-up'), ask('/waits')];
  await waitFor(() => held.length === 2, { what: 'the second request' });
  expect(transport.isFull(origin)).toBe(true);
  leave.abort();
  expect(await Promise.all(given)).toEqual(['failed', 'failed']);
  expect(transport.isFull(origin)).toBe(false);
  expect(await ask('no path')).toBe('failed');
  const closed = 'http://127.0.0.1:1';
  expect(await ask('/', closed)).toBe('failed');
  expect(transport.isFull(closed)).toBe(false);
  expect(transport.isFull(origin)).toBe(false);
});

test('requests that end on an agent that was replaced take nothing from the new one', async () => {
  const { server, held } = await startHolding();
  const { origin } = server.url;
  const transport = transportOf(1);
  const ask = (path: string): Promise<string> =>
    transport.request({ origin, path, method: 'GET' }).then(({ body }) => body.text());
  const old = ask('/old');
  await waitFor(() => held.length === 1, { what: 'the first request' });
  transport.reload();
  expect(transport.isFull(origin)).toBe(false);
  const young = ask('/young');
  await waitFor(() => held.length === 2, { what: 'the second request' });
  held[0]!.end('old');
  expect(await old).toBe('old');
  expect(transport.isFull(origin)).toBe(true);
  held[1]!.end('young');
  expect(await young).toBe('young');
});
