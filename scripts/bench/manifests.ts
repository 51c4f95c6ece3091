// Manifests per second: by digest, by one tag, by many tags.
import { inTurns, type Bench, type Topic } from './bench.ts';
import { pullHeaders } from './environment.ts';
import { median, ratio, type Figure, type Limit } from './figure.ts';
import { CACHE_NOTE, manifestRequests, startCache, startEqualSites, type EqualSites } from './pulls.ts';
import type { WireRequest } from './wire.ts';

const CONNECTIONS = 32;

/** Answers a second of one contender, in any turn. */
function rateOf({ load, seconds }: Bench, port: number, requests: readonly WireRequest[]): () => Promise<number> {
  return async () => {
    const outcome = await load.runAll({ kind: 'rate', port, requests, connections: CONNECTIONS, seconds });
    return outcome.answers / outcome.seconds;
  };
}

/** What is not warm yet, compiled code above all, says nothing of a server that runs for months. */
async function warmed<Name extends string>(
  { runs, isQuick }: Bench,
  contenders: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Record<Name, number[]>> {
  if (!isQuick) await inTurns(2, contenders);
  return inTurns(runs, contenders);
}

function rates(name: string, values: readonly number[]): Figure {
  return { name, value: median(values), unit: 'req/s', runs: values.length };
}

function times(name: string, ours: readonly number[], theirs: readonly number[], limit: Limit, note?: string): Figure {
  const more = note === undefined ? {} : { note };
  return { name, value: ratio(ours, theirs), unit: 'x', limit, runs: ours.length, ...more };
}

/** A manifest by its digest: it lies in memory, and no registry is asked. */
async function byDigest(bench: Bench): Promise<Figure[]> {
  const equal = await startEqualSites(bench, 'digest', 1);
  try {
    const { sites, proxy, tagged } = equal;
    const repository = tagged.repositories[0]!;
    const requests = manifestRequests(repository, [tagged.image.digest], pullHeaders(sites, repository));
    const { registry, ours } = await warmed(bench, {
      registry: rateOf(bench, sites.secondary.port, requests),
      ours: rateOf(bench, proxy.port, requests),
    });
    return [
      rates('by digest, registry itself', registry),
      rates('by digest, ours', ours),
      times('by digest, ours against the registry itself', ours, registry, { atLeast: 10 }),
      peakOf('by digest', equal),
    ];
  } finally {
    await equal.close();
  }
}

/** A manifest by one tag, which the primary is asked for every time (GEO_TAG_TTL is 0). */
async function byTag(bench: Bench): Promise<Figure[]> {
  const equal = await startEqualSites(bench, 'tag', 1);
  const cache = await startCache(equal.sites.primary);
  try {
    const { sites, proxy, tagged } = equal;
    const repository = tagged.repositories[0]!;
    const requests = manifestRequests(repository, tagged.tags, pullHeaders(sites, repository));
    const measured = await warmed(bench, {
      registry: rateOf(bench, sites.secondary.port, requests),
      cache: rateOf(bench, cache.port, requests),
      ours: rateOf(bench, proxy.port, requests),
    });
    return [
      rates('by one tag, registry itself', measured.registry),
      rates('by one tag, pull-through cache', measured.cache),
      rates('by one tag, ours', measured.ours),
      times('by one tag, ours against the registry itself', measured.ours, measured.registry, { atLeast: 5 }),
      times('by one tag, ours against the cache', measured.ours, measured.cache, { atLeast: 20 }, CACHE_NOTE),
      peakOf('by one tag', equal),
    ];
  } finally {
    await cache.close();
    await equal.close();
  }
}

/** Manifests by a thousand tags in turn: each is a question to the primary. */
async function byTags(bench: Bench): Promise<Figure[]> {
  const equal = await startEqualSites(bench, 'tags', 1_000);
  try {
    const { sites, proxy, tagged } = equal;
    const repository = tagged.repositories[0]!;
    const headers = pullHeaders(sites, repository);
    const { primary, ours } = await warmed(bench, {
      primary: rateOf(bench, sites.primary.port, manifestRequests(repository, tagged.tags, headers, 'HEAD')),
      ours: rateOf(bench, proxy.port, manifestRequests(repository, tagged.tags, headers)),
    });
    return [
      rates('by 1,000 tags, HEAD at the primary itself', primary),
      rates('by 1,000 tags, ours', ours),
      times("by 1,000 tags, ours against the primary's HEAD", ours, primary, { atLeast: 0.8 }),
      peakOf('by 1,000 tags', equal),
    ];
  } finally {
    await equal.close();
  }
}

/** The most memory that the proxy held. */
function peakOf(name: string, { proxy }: EqualSites): Figure {
  const value = proxy.peakMemory() / (1024 * 1024);
  return { name: `${name}, peak memory`, value, unit: 'MiB', limit: { atMost: 200 }, runs: 1 };
}

/** Manifests that are here. */
export const manifests: Topic = {
  name: 'manifests',
  about: `manifests that are here, ${CONNECTIONS} connections, GEO_TAG_TTL 0`,
  measure: async (bench) => [...(await byDigest(bench)), ...(await byTag(bench)), ...(await byTags(bench))],
};
