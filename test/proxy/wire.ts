// Requests byte by byte, past every client that would tidy them up.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** An answer as it came over the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
  /** The code of the first error of an OCI error body. */
  readonly code: string | undefined;
}

function parse(text: string): WireAnswer {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const pairs = fields.map((field) => [field.split(':')[0]!.toLowerCase(), field.replace(/^[^:]*: */, '')] as const);
  const body = rest.join('\r\n\r\n');
  let code: string | undefined;
  try {
    code = (JSON.parse(body) as { errors?: { code?: string }[] }).errors?.[0]?.code;
  } catch {
    // Not every body is JSON.
  }
  return { status: Number(line.split(' ')[1]), headers: Object.fromEntries(pairs), body, code };
}

/** Opens a connection to a URL's host and port. */
export async function dial(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  return socket;
}

/** All that comes until the other side closes; what breaks off is as long as it is. */
export async function readToEnd(socket: Socket): Promise<WireAnswer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
  return parse(Buffer.concat(chunks).toString('latin1'));
}

/** Sends a request's lines with `Connection: close` and reads the whole answer; a list is a header sent several times. */
export async function send(
  url: string,
  request: string,
  headers: Record<string, string | readonly string[]> = {},
): Promise<WireAnswer> {
  const socket = await dial(url);
  const fields = Object.entries({ host: new URL(url).host, connection: 'close', ...headers });
  const sent = fields.flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
  const lines = [`${request} HTTP/1.1`, ...sent];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return readToEnd(socket);
}
