// The context of fills: the registries, the spool and the limits that all downloads of one filler share.
import type { Budget } from '../lib/budget.ts';
import { LEAST_RATE, type LeastRate } from '../lib/least-rate.ts';
import type { Log } from '../lib/log.ts';
import { createLru } from '../lib/lru.ts';
import type { Meter } from '../lib/meter.ts';
import type { Places } from '../lib/places.ts';
import type { Slots } from '../lib/slots.ts';
import type { Digest } from '../oci/digest.ts';
import type { Failure } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import type { SourceRates } from './source.ts';
import type { Spool } from './spool.ts';
import type { Store } from './store.ts';
import { PARTS, type PartsOptions } from './transfer.ts';

/** What a filler is made of. */
export interface FillerDeps {
  readonly primary: Registry;
  readonly store: Store;
  readonly spool: Spool;
  readonly slots: Slots;
  /** Limits how many HEAD requests are sent to the primary at once. */
  readonly lookups: Places;
  readonly budget: Budget;
  /** The size of a blob in bytes, if it is known before the primary is asked. */
  readonly sizeOf: (digest: Digest) => number | undefined;
  readonly log: Log;
  readonly meter: Meter;
  /** Whether blobs of this repository are stored in the secondary. */
  readonly isStored: (name: string) => boolean;
}

/** Times in milliseconds. */
export interface FillerOptions {
  /** To the headers of the primary's answer, on a client's behalf. */
  readonly timeout?: number;
  /** How long a client waits for a slot; a blob that a manifest names stays in the queue after that. */
  readonly slotPatience?: number;
  /** How long a broken transfer is retried without progress. */
  readonly patience?: number | undefined;
  readonly rates?: SourceRates | undefined;
  /** The largest blob that is accepted, in bytes. */
  readonly blobMax?: number;
  /** How long a blob is not requested again after its digest was wrong twice. */
  readonly corruptFor?: number;
  readonly parts?: PartsOptions | undefined;
  /** How long the file of a stored blob is kept, for clients that asked the secondary just before it had the blob. */
  readonly linger?: number;
  /** The pause before a blob that could not be stored is stored again; it doubles with each failure. */
  readonly storeAgainAfter?: number;
  /** The least rate of a client that reads past the spool. */
  readonly leastRate?: LeastRate;
}

// How long (ms) the primary may take to the headers of an answer that no client waits for.
const BACKGROUND_TIMEOUT = 30_000;

const DEFAULTS = {
  timeout: 5_000,
  backgroundTimeout: BACKGROUND_TIMEOUT,
  slotPatience: 30_000,
  blobMax: Infinity,
  corruptFor: 600_000,
  parts: PARTS,
  linger: 10_000,
  storeAgainAfter: 30_000,
  leastRate: LEAST_RATE,
};

/** {@link FillerOptions} with their defaults. */
export type FillOptions = typeof DEFAULTS & Pick<FillerOptions, 'patience' | 'rates'>;

/** The options with their defaults; one that is given as undefined has its default, too. */
export function fillOptions(options: FillerOptions): FillOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}

const WRONG_MAX = 2;

/** Blobs whose bytes were wrong at the primary: after two times in a row they are not requested for a while. */
export class CorruptBlobs {
  readonly #wrong;

  constructor(ttl: number) {
    this.#wrong = createLru<Digest, number>('wrongBlobs', { ttl });
  }

  has(digest: Digest): boolean {
    return (this.#wrong.get(digest) ?? 0) >= WRONG_MAX;
  }

  add(digest: Digest): void {
    this.#wrong.set(digest, (this.#wrong.get(digest) ?? 0) + 1);
  }

  delete(digest: Digest): void {
    this.#wrong.delete(digest);
  }
}

/** What every fill of a filler knows. */
export interface FillContext extends FillerDeps {
  readonly options: FillOptions;
  /** Aborted when the program ends. */
  readonly closing: AbortSignal;
  readonly corrupt: CorruptBlobs;
  /** Reserves bytes of the spool; where they are not free it removes whole files that have no reader. */
  readonly reserve: (bytes: number) => Promise<boolean>;
  /** Whether the secondary refused its last upload because it is read-only: logged once, not for each blob. */
  isReadOnly: boolean;
}

/** The answer to all requests while the program ends. */
export const SHUTTING_DOWN: Failure = { kind: 'unavailable', reason: 'shutting down' };
