// What a registry's answer means. "Not known" is never mistaken for "does not exist".
import type { OciErrorCode } from '../oci/error.ts';

/** Codes by which a registry says that something does not exist. */
export type MissingCode = Extract<OciErrorCode, 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN' | 'NAME_UNKNOWN'>;

/** Codes by which a registry says that the request itself is wrong. */
export type InvalidCode = Extract<
  OciErrorCode,
  'DIGEST_INVALID' | 'NAME_INVALID' | 'PAGINATION_NUMBER_INVALID' | 'TAG_INVALID' | 'UNSUPPORTED'
>;

/** Every way in which a registry can fail to give what was asked. */
export type Failure =
  /** It does not exist: said by a registry in the specification's words. */
  | { readonly kind: 'missing'; readonly code: MissingCode }
  /** The registry knows us, but gives us nothing of this repository. */
  | { readonly kind: 'refused' }
  /** The registry does not accept our key at all. */
  | { readonly kind: 'locked-out' }
  /** 429, with its Retry-After. */
  | { readonly kind: 'busy'; readonly retryAfter?: string }
  /** 400: the registry will not take the request as it is, now or later. */
  | { readonly kind: 'invalid'; readonly code: InvalidCode }
  /** The registry does not have this endpoint (405, or its own 404 for it). */
  | { readonly kind: 'unsupported' }
  /** 416: nothing of the range is there. */
  | { readonly kind: 'unsatisfiable' }
  /** Not reachable, too slow, broken, or no registry at all; `reason` is for the log. */
  | { readonly kind: 'unavailable'; readonly reason: string };

/** What was asked, or why it could not be had. */
export type Answer<T> = { readonly kind: 'found'; readonly value: T } | Failure;

/** What we ourselves are short of says nothing about a registry. */
export const BUSY_HERE: Failure = { kind: 'unavailable', reason: 'busy here: too many such requests' };

/** Wraps a value as found. */
export function found<T>(value: T): { readonly kind: 'found'; readonly value: T } {
  return { kind: 'found', value };
}

/** A registry could not be asked: connection, time-out, 502, 503, 504, or an open circuit breaker. */
export class RegistryOutage extends Error {
  /** Whether it says something about the registry's health: what we ourselves were short of does not. */
  readonly counts: boolean;

  constructor(registry: string, reason: string, cause?: unknown, { counts = true }: { counts?: boolean } = {}) {
    super(`${registry}: ${reason}`, cause === undefined ? undefined : { cause });
    this.name = 'RegistryOutage';
    this.counts = counts;
  }
}

/** Turns an outage thrown by `work` into an answer; other errors are bugs and go on. */
export async function answered<T>(work: () => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RegistryOutage) return { kind: 'unavailable', reason: error.message };
    throw error;
  }
}
