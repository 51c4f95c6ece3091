// Manifests: a digest names its bytes for ever, so the local copy is the answer; a tag moves, so the primary decides.
import { BACKGROUND, type Claim, type Caller } from '../lib/claim.ts';
import type { Log } from '../lib/log.ts';
import { createLru } from '../lib/lru.ts';
import { createSharedWork } from '../lib/shared-work.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { BUSY_HERE, failureText, found, type Answer, type Failure } from '../registry/answer.ts';
import { isLayer } from '../registry/layer.ts';
import type { ManifestHead } from '../registry/manifest.ts';
import type { Found, ProxyDeps, ProxyOptions } from './deps.ts';
import type { Remembered } from './memory.ts';

// How long (ms) a tag is not compared again: after it was queued, and after both registries had the same manifest. Only
// another writer of the local registry can change the latter, and compare runs find that, too.
const QUEUED_FOR = 10_000;
const EQUAL_FOR = 600_000;
// Bytes of a digest.
const DIGEST = 160;
const GONE = 'gone';
const NOT_HERE = { kind: 'missing', code: 'MANIFEST_UNKNOWN' } as const;

/** A manifest and where it came from, or why there is none. */
export type Resolved = Answer<Found<Remembered>>;

/**
 * Decides which manifest a client gets. Its requests are made in the caller's share. @throws CallerLeft when that
 * leaves.
 */
export class Resolver {
  readonly #deps: ProxyDeps;
  readonly #options: ProxyOptions;
  readonly #log: Log;
  readonly #resolving = createSharedWork<Resolved>();
  /** Tags that were compared lately: else each pull of a busy tag would cost the local registry a request. */
  readonly #compared = createLru<string, string>('comparedTags', { ttl: QUEUED_FOR, sizeOf: () => DIGEST });
  /**
   * The tags of manifests that the primary gives by tag and not by digest: clients ask by digest after a HEAD of the
   * tag.
   */
  readonly #taggedOnly = createLru<string, string>('taggedOnly', { sizeOf: (tag) => tag.length });

  constructor(deps: ProxyDeps, options: ProxyOptions, log: Log) {
    this.#deps = deps;
    this.#options = options;
    this.#log = log;
  }

  async #local(name: string, digest: Digest, claim: Claim): Promise<Answer<Found<Remembered>>> {
    const { secondaryTimeout } = this.#options;
    const { secondary, memory, places } = this.#deps;
    // A dummy, which stands on a tag while that is removed, is never served.
    if (memory.isHidden(digest)) return NOT_HERE;
    const ask = (signal: AbortSignal): Promise<Answer<Manifest>> =>
      secondary.manifests.get(name, { digest }, secondaryTimeout, signal);
    const answer = await places.local.run(claim, ask, BUSY_HERE);
    if (answer.kind !== 'found') return answer;
    return found({ value: memory.remember(name, answer.value, false), origin: 'secondary' as const });
  }

  async #remote(name: string, digest: Digest, claim: Claim): Promise<Resolved> {
    const { primaryTimeout } = this.#options;
    const { primary, memory, places, enqueue, isStored } = this.#deps;
    const ask = (signal: AbortSignal): Promise<Answer<Manifest>> =>
      primary.manifests.get(name, { digest }, primaryTimeout, signal);
    const answer = await places.manifests.run(claim, ask, BUSY_HERE);
    if (answer.kind === 'missing') return (await this.#byKnownTag(name, digest, claim)) ?? answer;
    if (answer.kind !== 'found') {
      const look = (): Promise<boolean> => isLayer(primary, name, digest, answer, primaryTimeout);
      return (await places.lookups.run(claim, look, false)) ? NOT_HERE : answer;
    }
    if (isStored(name)) enqueue({ name, reference: { digest } });
    return found({ value: memory.remember(name, answer.value, true), origin: 'primary' as const });
  }

  /** Asks the primary by tag; the manifest may have any digest. */
  async #remoteTag(name: string, tag: string, claim: Claim): Promise<Resolved> {
    const { primaryTimeout } = this.#options;
    const { primary, memory, places } = this.#deps;
    const ask = (signal: AbortSignal): Promise<Answer<Manifest>> =>
      primary.manifests.get(name, { tag }, primaryTimeout, signal);
    const answer = await places.manifests.run(claim, ask, BUSY_HERE);
    if (answer.kind !== 'found') return answer;
    this.#taggedOnly.set(`${name}@${answer.value.digest}`, tag);
    return found({ value: memory.remember(name, answer.value, true), origin: 'primary' as const });
  }

  /**
   * Asks again by tag for a manifest that the primary gave by tag alone; undefined where it did not, or where it is
   * gone.
   */
  async #byKnownTag(name: string, digest: Digest, claim: Claim): Promise<Resolved | undefined> {
    const tag = this.#taggedOnly.get(`${name}@${digest}`);
    const answer = tag === undefined ? undefined : await this.#remoteTag(name, tag, claim);
    if (answer?.kind === 'found') return answer.value.value.manifest.digest === digest ? answer : undefined;
    return answer?.kind === 'missing' ? undefined : answer;
  }

  /** One request for all callers that ask for the same at once. */
  async #shared(key: string, caller: Caller, work: (claim: Claim) => Promise<Resolved>): Promise<Resolved> {
    let isOurs = false;
    const ask = (): Promise<Resolved> =>
      this.#resolving(key, caller, (claim) => {
        isOurs = true;
        return work(claim);
      });
    const answer = await ask();
    // A request that began before this caller came may be older than the push that its client knows of.
    return answer.kind === 'missing' && !isOurs ? ask() : answer;
  }

  async byDigest(name: string, digest: Digest, caller: Caller): Promise<Resolved> {
    const { memory } = this.#deps;
    const known = memory.manifest(name, digest);
    if (known) return found({ value: known, origin: 'memory' as const });
    return this.#shared(`${name}@${digest}`, caller, async (claim) => {
      const here = await this.#local(name, digest, claim);
      return here.kind === 'found' ? here : this.#remote(name, digest, claim);
    });
  }

  /** The local copy of a tag, because the primary could not be asked. */
  async #stale(name: string, tag: string, failure: Failure, caller: Caller): Promise<Resolved> {
    const { secondaryTimeout } = this.#options;
    const { secondary, memory, places, meter } = this.#deps;
    const ask = (signal: AbortSignal): Promise<Answer<Manifest>> =>
      secondary.manifests.get(name, { tag }, secondaryTimeout, signal);
    const answer = await places.local.runFor(caller, ask, BUSY_HERE);
    if (answer.kind !== 'found' || memory.isHidden(answer.value.digest)) return failure;
    meter('stale_answers_total', { reason: failure.kind });
    const value = memory.remember(name, answer.value, false);
    return found({ value, origin: 'stale' as const, stale: failure.kind, cause: failureText(failure, 'primary') });
  }

  /**
   * Queues the tag where the secondary has another manifest than the primary, which may have none. Callers do not wait
   * for it. A tag that neither registry has is not queued: clients may ask for any number of those.
   */
  async #keepTag(name: string, tag: string, digest: Digest | undefined): Promise<void> {
    const { secondaryTimeout } = this.#options;
    const { secondary, places, enqueue } = this.#deps;
    const key = `${name}:${tag}`;
    this.#compared.set(key, digest ?? GONE);
    const ask = (): Promise<Answer<ManifestHead>> => secondary.manifests.head(name, { tag }, secondaryTimeout);
    const here = await places.local.runFor(BACKGROUND, ask, BUSY_HERE);
    const local = here.kind === 'found' ? here.value.digest : undefined;
    if (here.kind !== 'found' && here.kind !== 'missing') this.#compared.delete(key);
    else if (local !== digest) enqueue({ name, reference: { tag } });
    else this.#compared.set(key, digest ?? GONE, { ttl: EQUAL_FOR });
  }

  #keepTagLater(name: string, tag: string, digest: Digest | undefined): void {
    const { isStored } = this.#deps;
    if (!isStored(name) || this.#compared.get(`${name}:${tag}`) === (digest ?? GONE)) return;
    this.#keepTag(name, tag, digest).catch((error: unknown) => {
      this.#compared.delete(`${name}:${tag}`);
      this.#log.error({ repository: name, tag, err: error }, 'a tag was not compared with the local one');
    });
  }

  async byTag(name: string, tag: string, caller: Caller): Promise<Resolved> {
    const { tags } = this.#deps;
    const looked = await tags.find(name, tag, caller);
    if (looked.kind === 'missing') {
      // What is gone at the primary is to be removed here. The worker asks the primary again before it removes
      // anything.
      this.#keepTagLater(name, tag, undefined);
      return looked;
    }
    if (looked.kind !== 'found') return this.#stale(name, tag, looked, caller);
    const { digest } = looked.value;
    let answer = await this.byDigest(name, digest, caller);
    if (answer.kind === 'missing') {
      // The tag moved between the look-up and now, and what it meant is gone; or the primary gives it by tag alone.
      tags.forget(name, tag);
      answer = await this.#shared(`${name}:${tag}@${digest}`, caller, (claim) => this.#remoteTag(name, tag, claim));
    }
    if (answer.kind === 'found') this.#keepTagLater(name, tag, answer.value.value.manifest.digest);
    else if (answer.kind === 'missing') this.#keepTagLater(name, tag, undefined);
    // The former manifest is no answer where the tag is known to be another one now.
    return answer;
  }
}
