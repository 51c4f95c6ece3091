// HTTPS clients of both protocol versions that tell a whole body from a cut one.
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { pipeline, Readable, type Writable } from 'node:stream';
import { hostname, type Nginx } from './site.ts';

export type Protocol = 'HTTP/1.1' | 'HTTP/2';

export type Body = string | Buffer | number;

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, or how many zeros it has; it is sent piece by piece as fast as it is taken. */
  readonly body?: Body;
}

export interface Opened {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Ends only when the whole body came; else it is destroyed with an error. */
  readonly body: Readable;
}

const pieceSize = 64 * 1024;

function* pieces(body: Body): Generator<Buffer> {
  if (typeof body !== 'number') yield Buffer.from(body as string);
  else for (let left = body; left > 0; left -= pieceSize) yield Buffer.alloc(Math.min(left, pieceSize));
}

function lengthOf(body: Body): string {
  return String(typeof body === 'number' ? body : Buffer.byteLength(body));
}

/** Sends the body, if there is one; what is still being sent when the answer has come may fail as it likes. */
function send(target: Writable, body: Body | undefined): void {
  if (body === undefined) target.end();
  else pipeline(Readable.from(pieces(body)), target, () => undefined);
}

function openHttp1(nginx: Nginx, path: string, { method = 'GET', headers = {}, body }: Asking): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const outgoing = requestHttps({
      host: '127.0.0.1',
      port: nginx.httpsPort,
      servername: hostname,
      ca: nginx.tls.certPem,
      agent: false,
      method,
      path,
      headers: {
        host: `${hostname}:${nginx.httpsPort}`,
        ...headers,
        ...(body === undefined ? {} : { 'content-length': lengthOf(body) }),
      },
    });
    outgoing.once('response', (incoming) => {
      resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: incoming });
    });
    outgoing.on('error', reject);
    send(outgoing, body);
  });
}

async function connect(nginx: Nginx): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${nginx.httpsPort}`, {
    ca: nginx.tls.certPem,
    servername: hostname,
  });
  await once(session, 'connect');
  if (session.alpnProtocol !== 'h2') throw new Error(`nginx speaks ${session.alpnProtocol}`);
  return session;
}

async function openHttp2(nginx: Nginx, path: string, { method = 'GET', headers = {}, body }: Asking): Promise<Opened> {
  const session = await connect(nginx);
  const stream = session.request({
    ':method': method,
    ':path': path,
    ':authority': `${hostname}:${nginx.httpsPort}`,
    ...headers,
  });
  stream.once('close', () => session.close());
  const answered = once(stream, 'response') as Promise<[IncomingHttpHeaders & { ':status'?: number }]>;
  send(stream, body);
  const [received] = await answered;
  return { status: received[':status'] ?? 0, headers: received, body: stream };
}

/** Sends a request on a connection of its own; the body is left to the caller. */
export function open(protocol: Protocol, nginx: Nginx, path: string, asking: Asking = {}): Promise<Opened> {
  return protocol === 'HTTP/2' ? openHttp2(nginx, path, asking) : openHttp1(nginx, path, asking);
}

export interface Answer extends Omit<Opened, 'body'> {
  readonly body: Buffer;
}

/** Sends a request and reads the whole answer; rejects where it ends before its end. */
export async function ask(protocol: Protocol, nginx: Nginx, path: string, asking: Asking = {}): Promise<Answer> {
  const { body, ...answer } = await open(protocol, nginx, path, asking);
  return { ...answer, body: Buffer.concat(await body.toArray()) };
}
