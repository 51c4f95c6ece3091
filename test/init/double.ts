// A registry that answers as one of another kind does, as far as init asks it.
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface DoubleAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** An answer by method and path without the query, or by what the request holds; 404 as text for all others. */
export type Answers = Readonly<Record<string, DoubleAnswer | ((request: IncomingMessage) => DoubleAnswer)>>;

const unrouted: DoubleAnswer = { status: 404, headers: { 'content-type': 'text/plain' }, body: '404 page not found\n' };

/** An error in the specification's form. */
export function ociError(status: number, code: string, detail: unknown = null): DoubleAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: { errors: [{ code, message: code, detail }] },
  };
}

/** Starts it; it ends with the test. `GET /path` are the keys. */
export async function startDouble(answers: Answers): Promise<URL> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://double');
    const found = answers[`${request.method} ${pathname}`] ?? unrouted;
    const { status, headers = {}, body = '' } = typeof found === 'function' ? found(request) : found;
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}
