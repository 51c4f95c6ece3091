// From status to meaning: decides what every answer other than success means.
import { codesOf } from '../oci/error.ts';
import { INVALID, MISSING, unusable, type Failure } from './answer.ts';
import type { Client } from './client.ts';
import type { Pinger } from './ping.ts';
import { headerText, isJson, isPage, readText, type RegistryResponse } from './response.ts';
import { saidOf } from './said.ts';

/** Reads an answer other than success, with its body, and resolves with its meaning. @throws RegistryOutage */
export type Classify = (response: RegistryResponse, noun: NounName, method?: 'GET' | 'HEAD') => Promise<Failure>;

/** What was asked for. */
export type NounName = 'manifest' | 'blob' | 'list' | 'upload';

/** An answer other than success, read. */
interface Refusal {
  readonly registry: string;
  readonly response: RegistryResponse;
  readonly noun: NounName;
  readonly isHead: boolean;
  readonly body: string;
  /** The codes of the body where it is OCI error JSON. */
  readonly codes: readonly string[];
}

/** The code of a 404 whose body has none of the specification's. */
const BY_NOUN = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  list: 'NAME_UNKNOWN',
  upload: 'NAME_UNKNOWN',
} as const;

/**
 * Codes (capitals and digits only) that under a 404 do not mean "does not exist", but a problem of the registry or of our
 * access, or a request that it does not accept. These are few; for what does not exist registries have many codes of their
 * own (Harbor: NOT_FOUND, Quay: TAG_EXPIRED).
 */
const PROBLEM =
  /AUTH|DENIED|FORBIDDEN|TOOMANY|RATELIMIT|UNAVAILABLE|INTERNAL|TIMEOUT|^UNKNOWN(?:ERROR)?$|^ERROR$|^\d*$/;
const BAD_REQUEST = /UNSUPPORTED|INVALID|UPLOAD|METHOD|IMPLEMENTED/;

function hasCode(codes: readonly string[], pattern: RegExp): boolean {
  return codes.some((code) => pattern.test(code.toUpperCase().replace(/[^A-Z0-9]/g, '')));
}

function firstOf<T extends string>(known: readonly T[], codes: readonly string[]): T | undefined {
  return codes.find((code): code is T => known.some((one) => one === code));
}

/** The code of a 404 for what does not exist, by the specification's codes or a registry's own; undefined for others. */
function missingCode({ codes, noun, isHead, response }: Refusal): (typeof MISSING)[number] | undefined {
  const known = firstOf(MISSING, codes);
  if (known !== undefined) return known;
  // A HEAD has no body. Of an upload only the specification's codes count: other things than content may be missing.
  if (codes.length === 0) return isHead && isJson(response) ? BY_NOUN[noun] : undefined;
  const isOther = noun === 'upload' || hasCode(codes, PROBLEM) || hasCode(codes, BAD_REQUEST);
  return isOther ? undefined : BY_NOUN[noun];
}

/** A 404. Any web server answers so: it counts with a registry's code, from a host that answers as a registry. */
async function notFound(refusal: Refusal, ping: Pinger): Promise<Failure> {
  const { registry, response, noun, body, codes } = refusal;
  const code = missingCode(refusal);
  const isPlain = codes.length === 0 && !isPage(response) && !/</.test(body.slice(0, 64));
  const isEndpoint404 = noun === 'list' && (isPlain || codes.includes('UNSUPPORTED'));
  if (code === undefined && !isEndpoint404) return unusable(registry, '404 that is not a registry’s');
  if (!(await ping()).isRegistry) return unusable(registry, '404, and /v2/ does not answer as a registry');
  return code === undefined ? { kind: 'unsupported' } : { kind: 'missing', code };
}

/** A 401 or 403. Firewalls and portals have pages with these, which say nothing about a repository or our credentials. */
async function denied({ registry, response, isHead, codes }: Refusal, ping: Pinger): Promise<Failure> {
  const { statusCode, headers } = response;
  const isRegistrys =
    headers['www-authenticate'] !== undefined ||
    (!isPage(response) && (isHead || headers['docker-distribution-api-version'] !== undefined || codes.length > 0));
  if (!isRegistrys) return unusable(registry, `${statusCode} that is not a registry’s`);
  // An earlier answer of /v2/ does not show whether our credentials or the repository are refused now.
  return (await ping({ fresh: true })).acceptsUs ? { kind: 'refused' } : { kind: 'locked-out' };
}

function badRequest({ registry, noun, codes: all }: Refusal): Failure {
  const codes = noun === 'upload' ? [] : all;
  const code = firstOf(INVALID, codes);
  if (code === undefined && (codes.length === 0 || hasCode(codes, PROBLEM))) return unusable(registry, 'answered 400');
  return { kind: 'invalid', code: code ?? 'UNSUPPORTED' };
}

/** A Retry-After that may be passed on (RFC 9110 section 10.2.3). */
function retryAfterOf(response: RegistryResponse): { retryAfter?: string } {
  const text = headerText(response, 'retry-after')?.trim() ?? '';
  return /^\d{1,9}$|^[A-Z][a-z]{2}, [\w :]{1,40} GMT$/.test(text) ? { retryAfter: text } : {};
}

async function meaningOf(refusal: Refusal, ping: Pinger): Promise<Failure> {
  const { registry, response } = refusal;
  switch (response.statusCode) {
    case 400:
      return badRequest(refusal);
    case 404:
      return notFound(refusal, ping);
    case 401:
    case 403:
      return denied(refusal, ping);
    case 405:
      return { kind: 'unsupported' };
    case 416:
      return { kind: 'unsatisfiable' };
    case 429:
      return { kind: 'busy', ...retryAfterOf(response) };
    default:
      return unusable(registry, `answered ${response.statusCode}`);
  }
}

/** @see Classify */
export function createClassify({ registry }: Client, ping: Pinger): Classify {
  return async (response, noun, method = 'GET') => {
    const body = await readText(response);
    const isHead = method === 'HEAD';
    const failure = await meaningOf({ registry, response, noun, isHead, body, codes: codesOf(body) }, ping);
    // The kind says it all.
    if (['missing', 'unsupported', 'unsatisfiable'].includes(failure.kind)) return failure;
    return { ...failure, said: saidOf(response.statusCode, body) };
  };
}
