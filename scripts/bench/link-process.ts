// The process of a link: relays TCP to one port, as slowly and as late as a long line. It knows nothing of HTTP.
import { connect, createServer, type Socket } from 'node:net';

/** What a link is like; without a rate it has none. */
export interface LinkOptions {
  /** Of 127.0.0.1. */
  readonly target: number;
  /** Bytes a second towards the client: of all connections together, and of each. */
  readonly rate?: number;
  readonly ratePerConnection?: number;
  /** Milliseconds there and back. */
  readonly roundTrip?: number;
}

/** What the process says once it listens, and whenever it is asked: bytes towards clients since the last time. */
export type LinkReply = { readonly port: number } | { readonly bytes: number };

// How far ahead (ms) of its line a connection is read: what a router would hold.
const QUEUE = 20;

const { target, rate, ratePerConnection, roundTrip = 0 } = JSON.parse(process.argv[2]!) as LinkOptions;
let bytes = 0;

/** Gives the time at which so many bytes are through, each after those before. */
function createLine(bytesPerSecond: number | undefined): (size: number, from: number) => number {
  let free = 0;
  return (size, from) => {
    if (bytesPerSecond === undefined) return from;
    free = Math.max(free, from) + (size / bytesPerSecond) * 1_000;
    return free;
  };
}

const wholeLine = createLine(rate);

/** Carries one direction; `arrival` says when bytes that are read now are through. */
function carry(from: Socket, to: Socket, arrival: (size: number, now: number) => number): void {
  const onTheWay: { readonly at: number; readonly chunk: Buffer | undefined }[] = [];
  let timer: NodeJS.Timeout | undefined;

  function deliver(): void {
    timer = undefined;
    const now = performance.now();
    while (onTheWay.length > 0 && onTheWay[0]!.at <= now) {
      const { chunk } = onTheWay.shift()!;
      if (chunk === undefined) to.end();
      else if (!to.write(chunk)) from.pause();
    }
    if (onTheWay.length > 0) timer = setTimeout(deliver, onTheWay[0]!.at - now);
  }

  function send(chunk: Buffer | undefined): void {
    const now = performance.now();
    const through = arrival(chunk?.length ?? 0, now);
    onTheWay.push({ at: through + roundTrip / 2, chunk });
    timer ??= setTimeout(deliver, onTheWay[0]!.at - now);
    if (through - now <= QUEUE) return;
    from.pause();
    setTimeout(() => from.resume(), through - now - QUEUE / 2);
  }

  from.on('data', send);
  from.on('end', () => send(undefined));
  to.on('drain', () => from.resume());
}

/** As it would be without a relay: nothing is copied later than it came. */
function carryAtOnce(from: Socket, to: Socket): void {
  from.pipe(to);
}

function relay(client: Socket): void {
  const server = connect({ port: target, host: '127.0.0.1' });
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.setNoDelay();
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
  server.on('data', (chunk: Buffer) => (bytes += chunk.length));
  if (rate === undefined && ratePerConnection === undefined && roundTrip === 0) {
    carryAtOnce(client, server);
    carryAtOnce(server, client);
    return;
  }
  const ownLine = createLine(ratePerConnection);
  // The first bytes wait for the handshake of a line of this length.
  const open = performance.now() + roundTrip;
  carry(client, server, (_size, now) => Math.max(open, now));
  carry(server, client, (size, now) => wholeLine(size, ownLine(size, now)));
}

const listener = createServer({ allowHalfOpen: true }, relay).listen(0, '127.0.0.1', () => {
  const { port } = listener.address() as { port: number };
  process.send!({ port } satisfies LinkReply);
});
process.on('message', () => {
  process.send!({ bytes } satisfies LinkReply);
  bytes = 0;
});
process.on('disconnect', () => process.exit());
