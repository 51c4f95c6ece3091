// A server of a few lines that does on its sockets exactly what a test says, and clients of it.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { noAuthorizer, type Authorizer } from '../../src/registry/authorizer.ts';
import { createClient, type Client } from '../../src/registry/client.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import { Transport } from '../../src/registry/transport.ts';
import { scaled } from '../support/patience.ts';

/** What a request is answered with; `nth` is 1 for the first on its connection. */
export type Answering = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

export interface RawServer {
  readonly url: URL;
  /** Method and path of each request that came. */
  readonly requests: string[];
  /** Connections that were opened. */
  readonly connections: number;
  /** Changes what later requests are answered with. */
  answering: Answering;
  /** A client of this server. */
  client(options?: ClientOptions): Client;
  registry(options?: ClientOptions): Registry;
  close(): Promise<void>;
}

export interface ClientOptions {
  readonly connections?: number;
  readonly authorizer?: Authorizer;
  /** Outages in a row that open the breaker. */
  readonly threshold?: number;
  /** Milliseconds that the probe after a time-out may take. */
  readonly suspectFor?: number;
  /** Another server than this one. */
  readonly origin?: URL;
}

/** Starts a server on 127.0.0.1. */
export async function startRawServer(first: Answering): Promise<RawServer> {
  const requests: string[] = [];
  const transports: Transport[] = [];
  const clients: Client[] = [];
  const served = new WeakMap<object, number>();
  let connections = 0;
  const server: Server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const nth = (served.get(request.socket) ?? 0) + 1;
    served.set(request.socket, nth);
    raw.answering(request, response, nth);
  });
  server.on('connection', () => (connections += 1));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);

  function client(options: ClientOptions = {}): Client {
    const {
      connections: most = 8,
      authorizer = noAuthorizer(),
      threshold = 3,
      suspectFor = scaled(1_000),
      origin = url,
    } = options;
    const dispatcher = new Transport({ connections: most, connectTimeout: scaled(1_000), bodyTimeout: scaled(5_000) });
    transports.push(dispatcher);
    const deps = { registry: 'primary', origin, dispatcher, authorizer, via: '1.1 test', onBreaker: () => {} };
    const made = createClient(deps, { breaker: { threshold, suspectFor, probeAfter: 60_000, probeAfterMax: 60_000 } });
    clients.push(made);
    return made;
  }

  const raw: RawServer = {
    url,
    requests,
    get connections() {
      return connections;
    },
    answering: first,
    client,
    registry: (options) => createRegistry(client(options)),
    async close() {
      for (const made of clients) made.breaker.stop();
      await Promise.all(transports.map((transport) => transport.destroy()));
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
  return raw;
}
