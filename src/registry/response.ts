// A registry's answer as undici gives it: reading little of a body, or none.
import type { Dispatcher } from 'undici';

/** A registry's answer; its body has to be read or discarded. */
export type RegistryResponse = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'>;

const ERROR_BODY_MAX = 64 * 1024;
// An error's body is read no longer than this (ms): the client waits for what it means.
const ERROR_BODY_PATIENCE = 2_000;

/** Throws a body away without waiting for it. */
export function discard({ body }: RegistryResponse): void {
  body.on('error', () => undefined);
  body.dump().catch(() => undefined);
}

/** The first 64 KiB of a body as text; the rest is thrown away. */
export async function readText({ body }: RegistryResponse): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const limit = setTimeout(() => body.destroy(), ERROR_BODY_PATIENCE);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= ERROR_BODY_MAX) break;
    }
  } catch {
    // An error's body that breaks off is still an error.
  } finally {
    clearTimeout(limit);
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, ERROR_BODY_MAX);
}

/** The first value of a header. */
export function headerText({ headers }: RegistryResponse, name: string): string | undefined {
  return [headers[name] ?? []].flat()[0];
}

/** Whether the body is a page for people, as maintenance pages and portals are: nothing that a registry says. */
export function isPage(response: RegistryResponse): boolean {
  return /^\s*(?:text\/html|application\/xhtml)/i.test(headerText(response, 'content-type') ?? '');
}

/** Whether the body is said to be JSON. */
export function isJson(response: RegistryResponse): boolean {
  return /json/i.test(headerText(response, 'content-type') ?? '');
}
