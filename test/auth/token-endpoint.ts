// A token service of the tests that writes down what it was asked, and answers as it is told.
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
  readonly authorization: string | undefined;
}

export interface TokenEndpoint extends AsyncDisposable {
  readonly url: URL;
  readonly seen: SeenRequest[];
  /** What is answered from now on; by default a new token each time. */
  answer: (request: SeenRequest) => { status: number; body: string; headers?: Record<string, string> } | undefined;
}

async function seenOf(request: IncomingMessage, url: URL): Promise<SeenRequest> {
  const { pathname, searchParams } = new URL(request.url ?? '/', url);
  const form = new URLSearchParams(await text(request));
  const { authorization } = request.headers;
  return { method: request.method ?? '', path: pathname, query: searchParams, form, authorization };
}

/** Starts one on 127.0.0.1. An answer of undefined is none: the connection stays open. */
export async function startTokenEndpoint(): Promise<TokenEndpoint> {
  const server = createServer((request, response) => {
    void seenOf(request, endpoint.url).then((seen) => {
      endpoint.seen.push(seen);
      const answer = endpoint.answer(seen);
      if (answer) response.writeHead(answer.status, answer.headers).end(answer.body);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const endpoint: TokenEndpoint = {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    seen: [],
    answer: () => ({ status: 200, body: JSON.stringify({ token: `token-${endpoint.seen.length}`, expires_in: 300 }) }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
  return endpoint;
}
