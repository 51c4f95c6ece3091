// From status to meaning: the one place that decides what an answer other than success says.
import { codesOf } from '../oci/error.ts';
import type { Failure, InvalidCode, MissingCode } from './answer.ts';
import type { Client } from './client.ts';
import type { Pinger } from './ping.ts';
import { headerText, isJson, readText, type RegistryResponse } from './response.ts';
import { saidOf } from './said.ts';

/** Reads an answer that is no success, body included, and says what it means. @throws RegistryOutage */
export type Classify = (response: RegistryResponse, noun: Noun, method?: 'GET' | 'HEAD') => Promise<Failure>;

/** What was asked for: decides the code of a bodiless 404. */
export type Noun = 'manifest' | 'blob' | 'list' | 'upload';

const MISSING = ['MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NAME_UNKNOWN'] as const satisfies MissingCode[];
const INVALID = [
  'DIGEST_INVALID',
  'NAME_INVALID',
  'PAGINATION_NUMBER_INVALID',
  'TAG_INVALID',
  'UNSUPPORTED',
] as const satisfies InvalidCode[];
const BODILESS = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  list: 'NAME_UNKNOWN',
  upload: 'NAME_UNKNOWN',
} as const;

function firstOf<T extends string>(known: readonly T[], body: string): T | undefined {
  return codesOf(body).find((code): code is T => known.some((one) => one === code));
}

/** A Retry-After that may be passed on (RFC 9110 section 10.2.3). */
function retryAfterOf(response: RegistryResponse): { retryAfter?: string } {
  const text = headerText(response, 'retry-after')?.trim() ?? '';
  return /^\d{1,9}$|^[A-Z][a-z]{2}, [\w :]{1,40} GMT$/.test(text) ? { retryAfter: text } : {};
}

/** @see Classify */
export function createClassify(client: Client, ping: Pinger): Classify {
  const unavailable = (reason: string): Failure => ({ kind: 'unavailable', reason: `${client.registry}: ${reason}` });

  async function notFound(response: RegistryResponse, noun: Noun, isHead: boolean, body: string): Promise<Failure> {
    // Any web server says 404: it counts in the specification's own words, from something that is a registry.
    const bodiless = isHead && isJson(response) ? BODILESS[noun] : undefined;
    const code = firstOf(MISSING, body) ?? bodiless;
    const isEndpoint404 = noun === 'list' && code === undefined && !/</.test(body.slice(0, 64));
    if (code === undefined && !isEndpoint404) return unavailable('404 that is not a registry’s');
    if (!(await ping()).isRegistry) return unavailable('404, and /v2/ does not answer as a registry');
    return code === undefined ? { kind: 'unsupported' } : { kind: 'missing', code };
  }

  function badRequest(noun: Noun, body: string): Failure {
    const code = noun === 'upload' ? undefined : firstOf(INVALID, body);
    return code === undefined ? unavailable('answered 400') : { kind: 'invalid', code };
  }

  async function meaningOf(
    response: RegistryResponse,
    noun: Noun,
    method: 'GET' | 'HEAD',
    body: string,
  ): Promise<Failure> {
    const status = response.statusCode;
    switch (status) {
      case 400:
        return badRequest(noun, body);
      case 404:
        return notFound(response, noun, method === 'HEAD', body);
      case 401:
      case 403:
        // What was so before this refusal does not tell whether the key or the repository is refused now.
        return (await ping({ fresh: true })).acceptsUs ? { kind: 'refused' } : { kind: 'locked-out' };
      case 405:
        return { kind: 'unsupported' };
      case 416:
        return { kind: 'unsatisfiable' };
      case 429:
        return { kind: 'busy', ...retryAfterOf(response) };
      default:
        return unavailable(`answered ${status}`);
    }
  }

  return async (response, noun, method = 'GET') => {
    const body = await readText(response);
    const failure = await meaningOf(response, noun, method, body);
    // These say all that there is to say.
    if (failure.kind === 'missing' || failure.kind === 'unsupported' || failure.kind === 'unsatisfiable')
      return failure;
    return { ...failure, said: saidOf(response.statusCode, body) };
  };
}
