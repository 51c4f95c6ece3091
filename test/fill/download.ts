// A client's download: what came, whether it came whole, and a pace of its own.
import { createHash } from 'node:crypto';
import type { Dispatcher } from 'undici';
import type { Asking, ProxySite } from '../support/proxy.ts';
import type { RelayMatch, RelayRequest } from '../support/relay.ts';

/** The requests that fetch a blob's body, in whole or in part. */
export function bodyOf({ digest }: { readonly digest: string }): RelayMatch {
  return ({ method, path }) => method === 'GET' && path.endsWith(digest);
}

/** The first byte that a request asks for. */
export function firstByteOf({ headers }: Pick<RelayRequest, 'headers'>): number {
  return Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
}

/** Requests that begin a transfer: of a blob whose size is not known its first piece is asked for. */
export const isFromStart: RelayMatch = ({ headers }) =>
  headers.range === undefined || headers.range.startsWith('bytes=0-');

/** What a client has when its download is over, one way or the other. */
export interface Download {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly size: number;
  readonly digest: string;
  /** Whether the answer ended as HTTP says it must: with all of its length, or with its last chunk. */
  readonly whole: boolean;
}

/** Reads a response to its end, calling `onChunk` (and waiting for it) before each further chunk. */
export async function receive(
  response: Dispatcher.ResponseData,
  onChunk?: (received: number) => Promise<void> | void,
  algorithm = 'sha256',
): Promise<Download> {
  const hash = createHash(algorithm);
  const { statusCode: status, headers } = response;
  let size = 0;
  let whole = true;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
      await onChunk?.(size);
    }
  } catch {
    whole = false;
  }
  return { status, headers, size, digest: `${algorithm}:${hash.digest('hex')}`, whole };
}

/** Downloads a path of the pull API. */
export async function download(site: ProxySite, path: string, asking?: Asking): Promise<Download> {
  return receive(await site.open(path, asking));
}
