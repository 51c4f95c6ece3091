// The listening socket, several times over. libuv takes one connection from a socket in each turn of its loop, and a turn
// takes milliseconds while blobs go out: of a burst of clients the last would wait for all of them just to be heard.
import { once } from 'node:events';
import { createServer, isIP, type AddressInfo, type ListenOptions, type Server } from 'node:net';
import type { ListenAddress } from '../config/variable.ts';

/** Connections that are taken in one turn. */
const SOCKETS = 16;

/** What listens. */
export interface Listening {
  readonly url: string;
  /** Lets the sockets beside the server's own take no more; resolves when the connections that they took have ended. */
  close(): Promise<void>;
}

async function listen(server: Server, options: ListenOptions): Promise<void> {
  server.listen({ backlog: 511, ...options });
  await once(server, 'listening');
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}

async function probe(options: ListenOptions): Promise<void> {
  const server = createServer();
  await listen(server, options);
  await closed(server);
}

/**
 * Whether the system shares the port out. One that is shared may be another program's that shares it, too: it has to be
 * free first. Of two programs of one user that are told the same port at the same moment both may find it so.
 */
async function canShare(address: ListenAddress): Promise<boolean> {
  // A name may be of several addresses, to each of which the server listens by itself.
  if (process.platform !== 'linux' || isIP(address.host) === 0) return false;
  await probe(address);
  return probe({ ...address, reusePort: true }).then(
    () => true,
    () => false,
  );
}

/**
 * Lets an HTTP server listen at an address as `listenItself` does, and more sockets beside it; port 0 for one that is
 * free. The server's own `close` ends idle connections, whichever socket took them.
 * @throws EADDRINUSE, and what else listening says: nothing listens then but, maybe, the server itself.
 */
export async function listenWidely(
  http: Server,
  listenItself: (options: ListenAddress & { readonly reusePort?: boolean }) => Promise<string>,
  address: ListenAddress,
): Promise<Listening> {
  if (!(await canShare(address))) return { url: await listenItself(address), close: async () => undefined };
  const url = await listenItself({ ...address, reusePort: true });
  const { address: host, port } = http.address() as AddressInfo;
  const servers: Server[] = [];
  const close = async (): Promise<void> => void (await Promise.all(servers.map(closed)));
  try {
    while (servers.length < SOCKETS - 1) {
      // As Node's own HTTP server has its sockets.
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        http.emit('connection', socket);
      });
      servers.push(server);
      await listen(server, { host, port, reusePort: true });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { url, close };
}
