// Which manifest a tag means now: the primary decides, and many pulls of one tag ask it little.
import { LRUCache } from 'lru-cache';
import { isTag } from '../oci/reference.ts';
import type { Answer } from '../registry/answer.ts';
import type { ManifestHead } from '../registry/manifest.ts';

/** Looks a tag up at the primary. */
export interface TagLookup {
  find(name: string, tag: string): Promise<Answer<ManifestHead>>;
  /**
   * Ends the belief in what was found, since an event says that the tag has moved. What is no tag (a digest, or what stands
   * for the whole repository) may be any tag of the repository.
   */
  forget(name: string, reference: string): void;
  /** Ends the belief in everything. */
  forgetAll(): void;
}

/** Times in milliseconds. */
export interface TagLookupOptions {
  /** How long a found tag is believed; 0: every pull asks. */
  readonly ttl: number;
  /** How long a pull waits for a look-up that began before it, before it begins its own. */
  readonly patience?: number;
  /** Look-ups of one tag at once. */
  readonly parallel?: number;
}

interface Lookup {
  readonly startedAt: number;
  readonly answer: Promise<Answer<ManifestHead>>;
  /** The tag has moved since: what is found is an answer to those who wait, and to nobody after. */
  isOutdated: boolean;
}

interface Belief {
  readonly answer: Answer<ManifestHead>;
  readonly startedAt: number;
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
 * A pull joins only a look-up that started after the pull arrived: one that was under way may already have passed the
 * moment of the push that the client knows of. So read-your-writes holds, at two look-ups for any number of pulls.
 */
export function createTagLookup(
  head: (name: string, tag: string) => Promise<Answer<ManifestHead>>,
  { ttl, patience = 250, parallel = 4 }: TagLookupOptions,
): TagLookup {
  const believed = ttl > 0 ? new LRUCache<string, Belief>({ max: 100_000, ttl }) : undefined;
  const under = new Map<string, Lookup[]>();
  // An arrival's number, not the clock: two things in one millisecond still have an order.
  let arrivals = 0;
  // Look-ups up to this number are not believed: of any repository, and of those that were forgotten as a whole.
  let allForgotten = 0;
  const forgotten = new LRUCache<string, number>({
    max: 10_000,
    dispose(number, _name, reason) {
      if (reason === 'evict') allForgotten = Math.max(allForgotten, number);
    },
  });

  function isForgotten(name: string, startedAt: number): boolean {
    return startedAt <= Math.max(allForgotten, forgotten.get(name) ?? 0);
  }

  function beliefIn(name: string, key: string): Belief | undefined {
    const belief = believed?.get(key);
    return belief && !isForgotten(name, belief.startedAt) ? belief : undefined;
  }

  /** What was looked up first may come last: it is not believed over what was looked up after it. */
  function believe(name: string, key: string, { isOutdated, startedAt }: Lookup, answer: Answer<ManifestHead>): void {
    if (isOutdated || isForgotten(name, startedAt) || (beliefIn(name, key)?.startedAt ?? 0) > startedAt) return;
    believed?.set(key, { answer, startedAt });
  }

  function begin(key: string, name: string, tag: string): Promise<Answer<ManifestHead>> {
    const lookups = under.get(key) ?? [];
    under.set(key, lookups);
    const look = async (): Promise<Answer<ManifestHead>> => {
      try {
        const answer = await head(name, tag);
        if (answer.kind === 'found') believe(name, key, lookup, answer);
        return answer;
      } finally {
        lookups.splice(lookups.indexOf(lookup), 1);
        if (lookups.length === 0 && under.get(key) === lookups) under.delete(key);
      }
    };
    const lookup: Lookup = { startedAt: (arrivals += 1), isOutdated: false, answer: Promise.resolve().then(look) };
    lookups.push(lookup);
    return lookup.answer;
  }

  async function fresh(key: string, name: string, tag: string): Promise<Answer<ManifestHead>> {
    const arrivedAt = (arrivals += 1);
    const joinable = (): Lookup | undefined => under.get(key)?.find(({ startedAt }) => startedAt > arrivedAt);
    const older = under.get(key)?.at(-1);
    if (older) await atMost(patience, older.answer);
    for (;;) {
      const younger = joinable();
      if (younger) return younger.answer;
      const lookups = under.get(key) ?? [];
      if (lookups.length < parallel) return begin(key, name, tag);
      await Promise.race(lookups.map(({ answer }) => answer));
    }
  }

  return {
    async find(name, tag) {
      const key = `${name}:${tag}`;
      return beliefIn(name, key)?.answer ?? fresh(key, name, tag);
    },
    forget(name, reference) {
      if (!isTag(reference)) {
        forgotten.set(name, arrivals);
        return;
      }
      const key = `${name}:${reference}`;
      believed?.delete(key);
      for (const lookup of under.get(key) ?? []) lookup.isOutdated = true;
    },
    forgetAll() {
      allForgotten = arrivals;
    },
  };
}
