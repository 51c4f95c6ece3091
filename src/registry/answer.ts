// The one form of a registry's answer: what was asked for, or one of a closed set of failures. Within this room an error of
// the socket is thrown as a RegistryOutage; `answered` turns it into a failure at the edge.
import type { OciErrorCode } from '../oci/error.ts';
import { saidText, type Said } from './said.ts';

/** The codes of what does not exist. */
export const MISSING = ['MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NAME_UNKNOWN'] as const satisfies OciErrorCode[];
/** The codes of a request that is wrong in itself. */
export const INVALID = [
  'DIGEST_INVALID',
  'NAME_INVALID',
  'PAGINATION_NUMBER_INVALID',
  'TAG_INVALID',
  'UNSUPPORTED',
] as const satisfies OciErrorCode[];

type FailureKind =
  /** It does not exist: stated by a registry, not by any other server. */
  | { readonly kind: 'missing'; readonly code: (typeof MISSING)[number] }
  /** The registry accepts our credentials, but not for this repository. */
  | { readonly kind: 'refused' }
  /** The registry does not accept our credentials at all. */
  | { readonly kind: 'locked-out' }
  /** 429, with its Retry-After. */
  | { readonly kind: 'busy'; readonly retryAfter?: string }
  /** 400: the registry does not accept the request as it is. */
  | { readonly kind: 'invalid'; readonly code: (typeof INVALID)[number] }
  /** The registry does not have this endpoint (405, or its own 404 for it). */
  | { readonly kind: 'unsupported' }
  /** 416: the range is outside the content. */
  | { readonly kind: 'unsatisfiable' }
  /** Larger than `GEO_BLOB_MAX`. */
  | { readonly kind: 'too-large' }
  /**
   * Not reachable, too slow, broken, or not a registry; `reason` is for the log. `storage` is set where the registry
   * redirected to a storage that failed: it does not have the object (`missing`), or could not be asked (`away`).
   */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly storage?: 'missing' | 'away' };

/** Every way in which a registry can fail; `said` is its own code, message and detail, where they add to the kind. */
export type Failure = FailureKind & { readonly said?: Said };

type Unavailable = Extract<Failure, { kind: 'unavailable' }>;

/** What was asked for, or why there is none. */
export type Answer<T> = { readonly kind: 'found'; readonly value: T } | Failure;

/** A limit of this process was reached; the registry was not asked. */
export const BUSY_HERE: Failure = { kind: 'unavailable', reason: 'busy here: too many such requests' };

/** The registry's own words; undefined where it did not answer, or they add nothing. */
export function wordsOf(failure: Failure): Said | undefined {
  return failure.said;
}

/** A failure for logs and rows, with the registry's own words; `at` names the registry for the kinds that do not. */
export function failureText(failure: Failure, at?: string): string {
  const plain = at === undefined ? failure.kind : `${failure.kind} at the ${at}`;
  const words = failure.said ? saidText(failure.said) : '';
  return [failure.kind === 'unavailable' ? failure.reason : plain, words].filter(Boolean).join(': ');
}

/** A failure without the name of its registry, with which reasons begin. */
export function bareReason(failure: Failure, registry: string): string {
  return failure.kind === 'unavailable' ? failure.reason.replace(`${registry}: `, '') : failure.kind;
}

/** Wraps a value as found. */
export function found<T>(value: T): { readonly kind: 'found'; readonly value: T } {
  return { kind: 'found', value };
}

/** An answer of a registry that cannot be used, and why. */
export function unusable(registry: string, reason: string): Unavailable {
  return { kind: 'unavailable', reason: `${registry}: ${reason}` };
}

/** Whether a registry redirected to a storage that does not have the object. */
export function isNotStored(answer: Answer<unknown>): boolean {
  return answer.kind === 'unavailable' && answer.storage === 'missing';
}

interface OutageOptions {
  /** Whether it says something about the registry's health, so that the breaker counts it. */
  readonly counts?: boolean;
  /** Whether there was no answer in time: the breaker then probes the registry. */
  readonly isTimeout?: boolean;
  /** Set where the storage that the registry redirected to could not be asked. */
  readonly storage?: 'away';
}

/** A registry, or the storage it redirected to, could not be asked: connection, time-out, 502, 503, 504, open breaker. */
export class RegistryOutage extends Error {
  readonly counts: boolean;
  /** The message without the registry's name. */
  readonly reason: string;
  readonly isTimeout: boolean;
  readonly storage: 'away' | undefined;

  constructor(
    registry: string,
    reason: string,
    cause?: unknown,
    { counts = true, isTimeout = false, storage }: OutageOptions = {},
  ) {
    super(`${registry}: ${reason}`, cause === undefined ? undefined : { cause });
    this.name = 'RegistryOutage';
    this.counts = counts;
    this.reason = reason;
    this.isTimeout = isTimeout;
    this.storage = storage;
  }
}

/** An error's code, or else its message. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return code ?? message ?? 'failed';
}

/** An outage as a failure. */
function unavailable({ message: reason, storage }: RegistryOutage): Unavailable {
  return { kind: 'unavailable', reason, ...(storage ? { storage } : {}) };
}

/** Turns an outage that `work` throws into an answer; other errors are bugs, and are thrown. */
export async function answered<T>(work: () => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RegistryOutage) return unavailable(error);
    throw error;
  }
}
