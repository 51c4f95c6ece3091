// A registry's answer as undici gives it: its headers, and bodies that are read into memory or discarded.
import type { Dispatcher } from 'undici';
import { collect, limitsFor, type CollectedBody } from './body.ts';
import { decoded } from './coding.ts';

/** A registry's answer; its body must be read or discarded. */
export type RegistryResponse = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'>;

const ERROR_BODY_MAX = 64 * 1024;
// Limit (ms) for an error's body: a client waits for its meaning.
const ERROR_BODY_TIME = 2_000;
// How long (ms) a discarded body is read, to keep its connection; then the connection is closed.
const DISCARD_TIME = 2_000;

/** Discards a body without waiting for it. */
export function discard({ body }: RegistryResponse): void {
  // An answer to HEAD has none.
  if (body.closed) return;
  body.on('error', () => undefined);
  const limit = setTimeout(() => body.destroy(), DISCARD_TIME);
  limit.unref();
  body.once('close', () => clearTimeout(limit));
  body.dump().catch(() => undefined);
}

/** The first 64 KiB of a body as text, or what came of it in time. */
export async function readText(response: RegistryResponse): Promise<string> {
  const limits = limitsFor(ERROR_BODY_TIME, ERROR_BODY_MAX);
  const { bytes } = await collect(response.body, { ...limits, time: ERROR_BODY_TIME });
  const plain = decoded(bytes, headerText(response, 'content-encoding'), ERROR_BODY_MAX);
  return (await plain.catch(() => bytes)).toString('utf8');
}

/** A whole body, decoded; `timeout` (ms) is what its headers had. With a Content-Length over `max` it is not read. */
export async function readBody(response: RegistryResponse, timeout: number, max: number): Promise<CollectedBody> {
  if ((contentLength(response) ?? 0) > max) {
    response.body.on('error', () => undefined).destroy();
    return { bytes: Buffer.alloc(0), failure: new Error(`over ${max} bytes`) };
  }
  const collected = await collect(response.body, limitsFor(timeout, max));
  if (collected.failure) return collected;
  try {
    return { bytes: await decoded(collected.bytes, headerText(response, 'content-encoding'), max) };
  } catch (error) {
    return { bytes: Buffer.alloc(0), failure: error as Error };
  }
}

/** The Content-Length of an answer; undefined where it has none. */
export function contentLength(response: RegistryResponse): number | undefined {
  const length = Number(headerText(response, 'content-length') ?? NaN);
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}

/** The first value of a header. */
export function headerText({ headers }: RegistryResponse, name: string): string | undefined {
  return [headers[name] ?? []].flat()[0];
}

/** Whether the body is HTML: a page of a portal or for maintenance, and no registry's answer. */
export function isPage(response: RegistryResponse): boolean {
  return /^\s*(?:text\/html|application\/xhtml)/i.test(headerText(response, 'content-type') ?? '');
}

/** Whether the Content-Type is JSON. */
export function isJson(response: RegistryResponse): boolean {
  return /json/i.test(headerText(response, 'content-type') ?? '');
}
