// Manifests: a digest names its bytes for ever, so the local copy is the answer; a tag moves, so the primary decides.
import type { Log } from '../lib/log.ts';
import { createLru } from '../lib/lru.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { found, type Answer, type Failure } from '../registry/answer.ts';
import { isLayer } from '../registry/layer.ts';
import type { Found, ProxyDeps, ProxyOptions } from './deps.ts';
import { BUSY_HERE } from './failure.ts';
import type { Remembered } from './memory.ts';

// How long (ms) a tag that was queued is not compared again; and one that was found to mean the same here, which only
// somebody else who writes to the local registry can change: walks find that, too.
const QUEUED_FOR = 10_000;
const EQUAL_FOR = 600_000;
// Tags.
const COMPARED_MAX = 100_000;
const GONE = 'gone';
const NOT_HERE = { kind: 'missing', code: 'MANIFEST_UNKNOWN' } as const;

/** A manifest and where it came from, or why there is none. */
export type Resolved = Answer<Found<Remembered>>;

/** Decides which manifest a client gets. */
export interface Resolver {
  byDigest(name: string, digest: Digest): Promise<Resolved>;
  byTag(name: string, tag: string): Promise<Resolved>;
}

/** @see Resolver */
export function createResolver(deps: ProxyDeps, options: ProxyOptions, log: Log): Resolver {
  const { primary, secondary, memory, tags, places, meter, enqueue, isStored } = deps;
  const { primaryTimeout, secondaryTimeout = 2_000 } = options;
  const resolving = createSingleFlight<Resolved>();
  // Tags that were compared with the local ones just now: a busy tag must not cost the local registry a request a pull.
  const compared = createLru<string, string>(COMPARED_MAX, { ttl: QUEUED_FOR });

  async function local(name: string, digest: Digest): Promise<Answer<Found<Remembered>>> {
    // What only stands in for a tag that is being removed is no manifest of anybody's.
    if (memory.isHidden(digest)) return NOT_HERE;
    const answer = await secondary.manifests.get(name, { digest }, secondaryTimeout);
    if (answer.kind !== 'found') return answer;
    return found({ value: memory.remember(name, answer.value, false), origin: 'secondary' as const });
  }

  async function remote(name: string, digest: Digest): Promise<Resolved> {
    const ask = (): Promise<Answer<Manifest>> => primary.manifests.get(name, { digest }, primaryTimeout);
    const answer = await places.manifests.run(ask, BUSY_HERE);
    if (answer.kind !== 'found') {
      return (await isLayer(primary, name, digest, answer, primaryTimeout)) ? NOT_HERE : answer;
    }
    if (isStored(name)) enqueue({ name, reference: { digest } });
    return found({ value: memory.remember(name, answer.value, true), origin: 'primary' as const });
  }

  async function byDigest(name: string, digest: Digest): Promise<Resolved> {
    const known = memory.manifest(name, digest);
    if (known) return found({ value: known, origin: 'memory' as const });
    let isOurs = false;
    const ask = (): Promise<Resolved> =>
      resolving(`${name}@${digest}`, async () => {
        isOurs = true;
        const here = await local(name, digest);
        return here.kind === 'found' ? here : remote(name, digest);
      });
    const answer = await ask();
    // A question of somebody before us may have passed the moment of the push that our client knows of.
    return answer.kind === 'missing' && !isOurs ? ask() : answer;
  }

  /** The local copy of a tag, because the primary could not be asked. */
  async function stale(name: string, tag: string, failure: Failure): Promise<Resolved> {
    const answer = await secondary.manifests.get(name, { tag }, secondaryTimeout);
    if (answer.kind !== 'found' || memory.isHidden(answer.value.digest)) return failure;
    meter('stale_answers_total', { reason: failure.kind });
    const value = memory.remember(name, answer.value, false);
    return found({ value, origin: 'stale' as const, stale: failure.kind });
  }

  /**
   * Sees to it that the tag means the same here as at the primary, where it may be gone; nobody waits for it. A tag that
   * is at neither, which a client may ask for without end, is nobody's work.
   */
  async function keepTag(name: string, tag: string, digest: Digest | undefined): Promise<void> {
    const key = `${name}:${tag}`;
    compared.set(key, digest ?? GONE);
    const here = await secondary.manifests.head(name, { tag }, secondaryTimeout);
    const local = here.kind === 'found' ? here.value.digest : undefined;
    if (here.kind !== 'found' && here.kind !== 'missing') compared.delete(key);
    else if (local !== digest) enqueue({ name, reference: { tag } });
    else compared.set(key, digest ?? GONE, { ttl: EQUAL_FOR });
  }

  function keepTagLater(name: string, tag: string, digest: Digest | undefined): void {
    if (!isStored(name) || compared.get(`${name}:${tag}`) === (digest ?? GONE)) return;
    keepTag(name, tag, digest).catch((error: unknown) => {
      compared.delete(`${name}:${tag}`);
      log.error({ repository: name, tag, err: error }, 'a tag was not compared with the local one');
    });
  }

  async function byTag(name: string, tag: string, again = true): Promise<Resolved> {
    const looked = await tags.find(name, tag);
    if (looked.kind === 'missing') {
      // What is gone there is to go here, too: whoever takes the wish reads the primary again.
      keepTagLater(name, tag, undefined);
      return looked;
    }
    if (looked.kind !== 'found') return stale(name, tag, looked);
    const answer = await byDigest(name, looked.value.digest);
    if (answer.kind === 'found') {
      keepTagLater(name, tag, looked.value.digest);
      return answer;
    }
    // The tag moved between the look-up and now, and what it meant is gone.
    if (answer.kind === 'missing' && again) {
      tags.forget(name, tag);
      return byTag(name, tag, false);
    }
    // What the tag meant before is no answer where it is known to mean something else now.
    return answer;
  }

  return { byDigest, byTag: (name, tag) => byTag(name, tag) };
}
