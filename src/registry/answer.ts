// What a registry's answer means. "Not known" is never mistaken for "does not exist".
import type { OciErrorCode } from '../oci/error.ts';
import { saidText, type Said } from './said.ts';

/** Codes by which a registry says that something does not exist. */
export type MissingCode = Extract<OciErrorCode, 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN' | 'NAME_UNKNOWN'>;

/** Codes by which a registry says that the request itself is wrong. */
export type InvalidCode = Extract<
  OciErrorCode,
  'DIGEST_INVALID' | 'NAME_INVALID' | 'PAGINATION_NUMBER_INVALID' | 'TAG_INVALID' | 'UNSUPPORTED'
>;

/** Every way in which a registry can fail to give what was asked; `said` in its own words, where it answered. */
export type Failure =
  /** It does not exist: said by a registry in the specification's words. */
  | { readonly kind: 'missing'; readonly code: MissingCode }
  /** The registry knows us, but gives us nothing of this repository. */
  | { readonly kind: 'refused'; readonly said?: Said }
  /** The registry does not accept our key at all. */
  | { readonly kind: 'locked-out'; readonly said?: Said }
  /** 429, with its Retry-After. */
  | { readonly kind: 'busy'; readonly retryAfter?: string; readonly said?: Said }
  /** 400: the registry will not take the request as it is, now or later. */
  | { readonly kind: 'invalid'; readonly code: InvalidCode; readonly said?: Said }
  /** The registry does not have this endpoint (405, or its own 404 for it). */
  | { readonly kind: 'unsupported' }
  /** 416: nothing of the range is there. */
  | { readonly kind: 'unsatisfiable' }
  /** Larger than what is taken of any blob (`GEO_BLOB_MAX`). */
  | { readonly kind: 'too-large' }
  /**
   * Not reachable, too slow, broken, or no registry at all; `reason` is for the log. `storage` is set where the registry
   * redirected and the failure is of the storage there: `missing` is its 404 in an object storage's words, `away` that it could not be asked.
   */
  | {
      readonly kind: 'unavailable';
      readonly reason: string;
      readonly storage?: 'missing' | 'away';
      readonly said?: Said;
    };

/** What a registry said, where it answered and its words tell more than the kind of the failure. */
export function wordsOf(failure: Failure): Said | undefined {
  return 'said' in failure ? failure.said : undefined;
}

/** A failure for logs and rows, with the registry's own words; `at` which registry, for the kinds that do not name it. */
export function failureText(failure: Failure, at?: string): string {
  const plain = at === undefined ? failure.kind : `${failure.kind} at the ${at}`;
  const said = wordsOf(failure);
  const words = said ? saidText(said) : '';
  return [failure.kind === 'unavailable' ? failure.reason : plain, words].filter(Boolean).join(': ');
}

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
  /** The message without the registry's name. */
  readonly reason: string;
  /** Whether there was no answer in time: a probe decides what that says. */
  readonly isTimeout: boolean;

  constructor(
    registry: string,
    reason: string,
    cause?: unknown,
    { counts = true, isTimeout = false }: { counts?: boolean; isTimeout?: boolean } = {},
  ) {
    super(`${registry}: ${reason}`, cause === undefined ? undefined : { cause });
    this.name = 'RegistryOutage';
    this.counts = counts;
    this.reason = reason;
    this.isTimeout = isTimeout;
  }
}

/** The storage that a registry redirected to could not be asked; it says nothing about the registry. */
export class StorageOutage extends RegistryOutage {}

/** Whether a registry redirected for content that its storage does not have: a web server's word, but not a registry's. */
export function isNotStored(answer: Answer<unknown>): boolean {
  return answer.kind === 'unavailable' && answer.storage === 'missing';
}

/** An outage as an answer. */
export function unavailable(outage: RegistryOutage): Extract<Failure, { kind: 'unavailable' }> {
  const { message: reason } = outage;
  return { kind: 'unavailable', reason, ...(outage instanceof StorageOutage ? { storage: 'away' } : {}) };
}

/** Turns an outage thrown by `work` into an answer; other errors are bugs and go on. */
export async function answered<T>(work: () => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RegistryOutage) return unavailable(error);
    throw error;
  }
}
