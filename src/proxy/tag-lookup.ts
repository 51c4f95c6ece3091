// Looks up which manifest a tag means now. The primary decides; many pulls of one tag share few requests to it.
import { Claim, unlessLeft, type Caller } from '../lib/claim.ts';
import { createLru } from '../lib/lru.ts';
import { isTag } from '../oci/reference.ts';
import type { Answer } from '../registry/answer.ts';
import type { ManifestHead } from '../registry/manifest.ts';

/** Times in milliseconds. */
export interface TagLookupOptions {
  /** How long a found tag is believed; 0: every pull asks. */
  readonly ttl: number;
  /** How long a pull waits for a look-up that began before it, before it begins its own. */
  readonly patience?: number;
  /** Look-ups of one tag at once. */
  readonly parallel?: number;
  /** Of a clock that never goes back. */
  readonly clock?: () => number;
}

/** Asks the primary what a tag means, for a claim; where `known` still holds, that very object is the value. */
export type HeadTag = (
  name: string,
  tag: string,
  known: ManifestHead | undefined,
  claim: Claim,
) => Promise<Answer<ManifestHead>>;

// For this time (ms) after a full answer the primary is only asked to confirm it, which costs it far less: it then
// reads the tag, but not the manifest. So a manifest that was deleted from under its tag is noticed after this time.
const CONFIRMED_FOR = 60_000;
// Bytes of what is known of a tag beside its media type.
const KNOWN = 512;

type Found = Extract<Answer<ManifestHead>, { kind: 'found' }>;

interface Lookup {
  readonly startedAt: number;
  readonly claim: Claim;
  readonly answer: Promise<Answer<ManifestHead>>;
  /** The tag has moved since: the answer is for the callers that wait already, and is not remembered. */
  isOutdated: boolean;
}

/** The last answer for a tag; times of the clock. */
interface Known {
  readonly answer: Found;
  readonly startedAt: number;
  /** When it was found, and when it was found in full. */
  readonly foundAt: number;
  readonly fullAt: number;
}

/** Resolves after `time` ms, or when `work` ends. */
function atMost(time: number, work: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, time);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/**
 * Looks tags up at the primary. A pull joins only a look-up that started after the pull arrived: one that was under way may already have passed the
 * moment of the push that the client knows of. So read-your-writes holds, at two look-ups for any number of pulls.
 */
export class TagLookup {
  readonly #head: HeadTag;
  readonly #options: Required<Omit<TagLookupOptions, 'clock'>>;
  readonly #clock: () => number;
  readonly #known = createLru<string, Known>('tags', {
    sizeOf: ({ answer }) => KNOWN + answer.value.mediaType.length,
  });
  readonly #under = new Map<string, Lookup[]>();
  /** Numbers arrivals and look-ups: a clock does not order two of the same millisecond. */
  #arrivals = 0;
  /**
   * Answers of look-ups up to this number are ignored: of any repository; below, of those that were forgotten as a
   * whole.
   */
  #allForgotten = 0;
  readonly #forgotten = createLru<string, number>('forgottenTags', {
    dispose: (number, _name, reason) => {
      if (reason === 'evict') this.#allForgotten = Math.max(this.#allForgotten, number);
    },
  });

  constructor(head: HeadTag, { clock, ttl, patience = 250, parallel = 4 }: TagLookupOptions) {
    this.#head = head;
    this.#options = { ttl, patience, parallel };
    this.#clock = clock ?? (() => performance.now());
  }

  #isForgotten(name: string, startedAt: number): boolean {
    return startedAt <= Math.max(this.#allForgotten, this.#forgotten.get(name) ?? 0);
  }

  #knownOf(name: string, key: string): Known | undefined {
    const one = this.#known.get(key);
    return one && !this.#isForgotten(name, one.startedAt) ? one : undefined;
  }

  /** An answer that is young enough to be used without a request. */
  #believed(name: string, key: string): Found | undefined {
    const { ttl } = this.#options;
    const one = ttl > 0 ? this.#knownOf(name, key) : undefined;
    return one && this.#clock() - one.foundAt < ttl ? one.answer : undefined;
  }

  /** An answer that the primary may be asked to confirm. */
  #confirmable(name: string, key: string): Known | undefined {
    const one = this.#knownOf(name, key);
    return one && this.#clock() - one.fullAt < CONFIRMED_FOR ? one : undefined;
  }

  /** Remembers an answer, unless one of a look-up that began later is there already. */
  #note(name: string, key: string, { isOutdated, startedAt }: Lookup, answer: Found, asked?: Known): void {
    if (isOutdated || this.#isForgotten(name, startedAt) || (this.#knownOf(name, key)?.startedAt ?? 0) > startedAt)
      return;
    const foundAt = this.#clock();
    const isConfirmed = asked?.answer.value === answer.value;
    this.#known.set(key, { answer, startedAt, foundAt, fullAt: isConfirmed ? asked!.fullAt : foundAt });
  }

  /** The look-ups under way, without those that are given up because all their callers have left. */
  #underWay(key: string): Lookup[] {
    return this.#under.get(key)?.filter(({ claim }) => !claim.isAbandoned) ?? [];
  }

  #begin(key: string, name: string, tag: string, claim: Claim): Promise<Answer<ManifestHead>> {
    const lookups = this.#under.get(key) ?? [];
    this.#under.set(key, lookups);
    const look = async (): Promise<Answer<ManifestHead>> => {
      try {
        const asked = this.#confirmable(name, key);
        const answer = await this.#head(name, tag, asked?.answer.value, claim);
        if (answer.kind === 'found') this.#note(name, key, lookup, answer, asked);
        return answer;
      } finally {
        claim.keep();
        lookups.splice(lookups.indexOf(lookup), 1);
        if (lookups.length === 0 && this.#under.get(key) === lookups) this.#under.delete(key);
      }
    };
    const answer = Promise.resolve().then(look);
    const lookup: Lookup = { startedAt: (this.#arrivals += 1), claim, isOutdated: false, answer };
    lookups.push(lookup);
    return answer;
  }

  async #fresh(key: string, name: string, tag: string, caller: Caller): Promise<Answer<ManifestHead>> {
    const { patience, parallel } = this.#options;
    const arrivedAt = (this.#arrivals += 1);
    const older = this.#underWay(key).at(-1);
    if (older) await unlessLeft(caller, atMost(patience, older.answer));
    for (;;) {
      const lookups = this.#underWay(key);
      const younger = lookups.find(({ startedAt }) => startedAt > arrivedAt);
      if (younger) return younger.claim.wait(caller, () => younger.answer);
      if (lookups.length < parallel) {
        const claim = new Claim();
        return claim.wait(caller, () => this.#begin(key, name, tag, claim));
      }
      await unlessLeft(caller, Promise.race(lookups.map(({ answer }) => answer)));
    }
  }

  /** What the tag means, asked in the caller's share. @throws CallerLeft as soon as that has left. */
  async find(name: string, tag: string, caller: Caller): Promise<Answer<ManifestHead>> {
    const key = `${name}:${tag}`;
    return this.#believed(name, key) ?? this.#fresh(key, name, tag, caller);
  }

  /**
   * Forgets a tag, since an event says that it has moved. A reference that is no tag (a digest, or the one of a whole
   * repository) may concern any tag of the repository.
   */
  forget(name: string, reference: string): void {
    if (!isTag(reference)) {
      this.#forgotten.set(name, this.#arrivals);
      return;
    }
    const key = `${name}:${reference}`;
    this.#known.delete(key);
    for (const lookup of this.#under.get(key) ?? []) lookup.isOutdated = true;
  }

  /** Forgets all tags. */
  forgetAll(): void {
    this.#allForgotten = this.#arrivals;
  }
}
