// An object storage in front of a registry's files: signed URLs are for GET alone, and its trouble is a test's to choose.
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** What becomes of an answer; for so many requests as `times` says, or all. */
export interface StorageFault {
  /** Answers this status, as 403 for a signature that has expired. */
  readonly status?: number;
  /** Ends the connection after so many bytes. */
  readonly cutAfter?: number;
  /** Answers 200 with the whole object, whatever range was asked. */
  readonly ignoreRange?: boolean;
  times?: number;
}

export interface ObjectStorage {
  /** Where a registry redirects to. */
  readonly url: string;
  /** The registry's storage root: known when that runs. */
  root: string;
  /** What was asked since it was emptied. */
  readonly asked: { readonly method: string; readonly path: string; readonly headers: IncomingHttpHeaders }[];
  readonly faults: StorageFault[];
  /** Takes no connections, until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

function rangeOf(text: string | undefined, size: number): { start: number; end: number } | undefined | 'none' {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  return start > end ? 'none' : { start, end };
}

/** Starts one on 127.0.0.1. */
export async function startObjectStorage(): Promise<ObjectStorage> {
  let server: Server;

  function nextFault(): StorageFault {
    const [fault] = storage.faults;
    if (fault?.times !== undefined && (fault.times -= 1) === 0) storage.faults.shift();
    return fault ?? {};
  }

  async function send(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const path = new URL(url, 'http://x').pathname;
    storage.asked.push({ method, path, headers });
    const { status, cutAfter, ignoreRange = false } = nextFault();
    if (status !== undefined)
      return void response.writeHead(status, { 'content-type': 'application/xml' }).end('<Error/>');
    // As S3 does: two ways of authorization at once are an error, and a URL is signed for one method.
    if (headers.authorization !== undefined) return void response.writeHead(400).end();
    if (method !== 'GET') return void response.writeHead(403).end();
    const file = join(storage.root, path);
    const size = await stat(file).then(
      (found) => found.size,
      () => undefined,
    );
    if (size === undefined)
      return void response
        .writeHead(404, { 'content-type': 'application/xml' })
        .end('<Error><Code>NoSuchKey</Code></Error>');
    const part = ignoreRange ? undefined : rangeOf(headers.range, size);
    if (part === 'none') return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    const { start, end } = part ?? { start: 0, end: size - 1 };
    const extra = part ? { 'content-range': `bytes ${start}-${end}/${size}` } : {};
    response.writeHead(part ? 206 : 200, { 'content-length': end + 1 - start, ...extra });
    if (size === 0) return void response.end();
    const last = cutAfter === undefined ? end : Math.min(end, start + cutAfter - 1);
    const body = createReadStream(file, { start, end: last });
    body.pipe(response, { end: last === end });
    if (last < end) body.once('end', () => setImmediate(() => response.destroy()));
  }

  async function listen(port: number): Promise<void> {
    server = createServer((request, response) => void send(request, response));
    await once(server.listen(port, '127.0.0.1'), 'listening');
  }

  async function down(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server.close(), 'close');
    server.closeAllConnections();
    await closed;
  }

  await listen(0);
  const { port } = server!.address() as AddressInfo;
  const storage: ObjectStorage = {
    url: `http://127.0.0.1:${port}`,
    root: '',
    asked: [],
    faults: [],
    down,
    up: async () => (server.listening ? undefined : listen(port)),
    close: down,
  };
  return storage;
}
