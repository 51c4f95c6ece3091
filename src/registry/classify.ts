// From status to meaning: the one place that decides what an answer other than success says.
import { codesOf } from '../oci/error.ts';
import type { Failure, InvalidCode, MissingCode } from './answer.ts';
import type { Client } from './client.ts';
import type { Pinger } from './ping.ts';
import { headerText, isJson, isPage, readText, type RegistryResponse } from './response.ts';
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

/**
 * Codes in capitals and digits alone that say something else than "does not exist" under 404: the registry's trouble or
 * ours with it, and requests that it does not take. For what does not exist registries have many words (Harbor: NOT_FOUND,
 * Quay: TAG_EXPIRED), for these few.
 */
const TROUBLE =
  /AUTH|DENIED|FORBIDDEN|TOOMANY|RATELIMIT|UNAVAILABLE|INTERNAL|TIMEOUT|^UNKNOWN(?:ERROR)?$|^ERROR$|^\d*$/;
const REQUEST = /UNSUPPORTED|INVALID|UPLOAD|METHOD|IMPLEMENTED/;

function hasCode(codes: readonly string[], pattern: RegExp): boolean {
  return codes.some((code) => pattern.test(code.toUpperCase().replace(/[^A-Z0-9]/g, '')));
}

/** The code of a 404 by which something does not exist, in the specification's words or in a registry's own. */
function missingCode(codes: readonly string[], noun: Noun): MissingCode | undefined {
  const known = firstOf(MISSING, codes);
  // Of an upload the specification's words alone: what else is missing there is no content.
  if (known !== undefined || noun === 'upload' || codes.length === 0) return known;
  return hasCode(codes, TROUBLE) || hasCode(codes, REQUEST) ? undefined : BODILESS[noun];
}

/**
 * Whether a 401 or 403 is a registry's own. Firewalls and portals have pages for both, which say nothing of a repository
 * or a key.
 */
function isRefusal(response: RegistryResponse, isHead: boolean, body: string): boolean {
  const { headers } = response;
  if (headers['www-authenticate'] !== undefined) return true;
  if (isPage(response)) return false;
  return isHead || headers['docker-distribution-api-version'] !== undefined || codesOf(body).length > 0;
}

function firstOf<T extends string>(known: readonly T[], codes: readonly string[]): T | undefined {
  return codes.find((code): code is T => known.some((one) => one === code));
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
    // Any web server says 404: it counts with a registry's errors, from something that is a registry.
    const codes = codesOf(body);
    const code = missingCode(codes, noun) ?? (isHead && isJson(response) ? BODILESS[noun] : undefined);
    const isPlain = codes.length === 0 && !isPage(response) && !/</.test(body.slice(0, 64));
    const isEndpoint404 = noun === 'list' && (isPlain || codes.includes('UNSUPPORTED'));
    if (code === undefined && !isEndpoint404) return unavailable('404 that is not a registry’s');
    if (!(await ping()).isRegistry) return unavailable('404, and /v2/ does not answer as a registry');
    return code === undefined ? { kind: 'unsupported' } : { kind: 'missing', code };
  }

  function badRequest(noun: Noun, body: string): Failure {
    const codes = noun === 'upload' ? [] : codesOf(body);
    const code = firstOf(INVALID, codes);
    if (code === undefined && (codes.length === 0 || hasCode(codes, TROUBLE))) return unavailable('answered 400');
    return { kind: 'invalid', code: code ?? 'UNSUPPORTED' };
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
        if (!isRefusal(response, method === 'HEAD', body)) return unavailable(`${status} that is not a registry’s`);
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
