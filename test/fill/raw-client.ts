// A client made of a socket alone: it reads when the test says so, and shows every byte as it came.
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { ProxySite } from '../support/proxy.ts';
import { waitFor } from '../support/tool.ts';

export interface RawClient {
  readonly socket: Socket;
  /** Resolves with the socket when the first bytes of the answer are there; hardly more than those are read. */
  answered(): Promise<Socket>;
  /** Reads on and gives all that came when the proxy has ended the connection. */
  untilClosed(): Promise<Buffer>;
}

/** Asks the proxy for a path of the pull API with a token of its repository. */
export function rawClient(site: ProxySite, path: string, headers: Record<string, string> = {}): RawClient {
  const { hostname, port } = new URL(site.proxy.url);
  const token = site.pullToken(path.replace(/\/(?:manifests|blobs|tags)\/.*$/, ''));
  const lines = Object.entries({ host: hostname, authorization: `Bearer ${token}`, ...headers });
  const socket = connect(Number(port), hostname);
  const ended = new Promise<void>((settle) => socket.once('close', () => settle()));
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  socket.write(`GET /v2/${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  return {
    socket,
    async answered() {
      await waitFor(() => socket.bytesRead > 0, { what: 'the first bytes of an answer' });
      return socket;
    },
    async untilClosed() {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      await ended;
      return Buffer.concat(chunks);
    },
  };
}
