// From status to meaning: the one place that decides what an answer other than success says.
import { codesOf } from '../oci/error.ts';
import type { Failure, MissingCode } from './answer.ts';
import type { Client, RegistryResponse } from './client.ts';
import type { Pinger } from './ping.ts';

/** Reads an answer that is no success, body included, and says what it means. @throws RegistryOutage */
export type Classify = (response: RegistryResponse, noun: Noun, method?: 'GET' | 'HEAD') => Promise<Failure>;

/** What was asked for: decides the code of a bodiless 404. */
export type Noun = 'manifest' | 'blob' | 'list' | 'upload';

const ERROR_BODY_MAX = 64 * 1024;
const MISSING = new Set<string>(['MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NAME_UNKNOWN'] satisfies MissingCode[]);
const BODILESS = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  list: 'NAME_UNKNOWN',
  upload: 'NAME_UNKNOWN',
} as const;

/** The first bytes of a body as text; the rest is thrown away. */
export async function readText(response: RegistryResponse, max = ERROR_BODY_MAX): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= max) break;
    }
  } catch {
    // An error's body that breaks off is still an error.
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, max);
}

function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** @see Classify */
export function createClassify(client: Client, ping: Pinger): Classify {
  const unavailable = (reason: string): Failure => ({ kind: 'unavailable', reason: `${client.registry}: ${reason}` });

  async function notFound(response: RegistryResponse, noun: Noun, isHead: boolean, body: string): Promise<Failure> {
    // Any web server says 404: it counts in the specification's own words, from something that is a registry.
    const bodiless = isHead && !/html/i.test(headerText(response.headers['content-type']) ?? '');
    const code =
      codesOf(body).find((name): name is MissingCode => MISSING.has(name)) ?? (bodiless ? BODILESS[noun] : undefined);
    const isEndpoint404 = noun === 'list' && code === undefined && !/</.test(body.slice(0, 64));
    if (code === undefined && !isEndpoint404) return unavailable('404 that is not a registry’s');
    if (!(await ping()).isRegistry) return unavailable('404, and /v2/ does not answer as a registry');
    return code === undefined ? { kind: 'unsupported' } : { kind: 'missing', code };
  }

  return async (response, noun, method = 'GET') => {
    const body = await readText(response);
    const status = response.statusCode;
    switch (status) {
      case 404:
        return notFound(response, noun, method === 'HEAD', body);
      case 401:
      case 403:
        return (await ping()).acceptsUs ? { kind: 'refused' } : { kind: 'locked-out' };
      case 405:
        return { kind: 'unsupported' };
      case 416:
        return { kind: 'unsatisfiable' };
      case 429: {
        const retryAfter = headerText(response.headers['retry-after']);
        return retryAfter === undefined ? { kind: 'busy' } : { kind: 'busy', retryAfter };
      }
      default:
        return unavailable(`answered ${status}`);
    }
  };
}
