// Passes a redirect of the local registry to its storage on to the client. The proxy does not see those bytes, so it
// first checks whether the storage has them, and how many.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { stayingCaller } from '../lib/claim.ts';
import { createLru } from '../lib/lru.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import type { Digest } from '../oci/digest.ts';
import { found, isNotStored, type Answer, type Failure } from '../registry/answer.ts';
import { release } from '../registry/blob.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import { API_VERSION, PRIVATE } from './headers.ts';
import { NOT_HERE, unusable } from './judge.ts';
import type { Place } from './place.ts';
import type { Proof } from './proof.ts';

// How long (ms) a check of a blob in the storage is valid, as with manifests in memory.
const BELIEF = 60_000;
// How long (ms) a storage that could not be asked is not asked again.
const AWAY = 5_000;
// What a failure with its reason takes.
const FAILURE_BYTES = 1_024;

/** What a check is of: the request, the blob, the URL of the redirect, and that URL's origin. */
type LookAt = [request: FastifyRequest, place: Place, location: string, origin: string];

const GOOD = found(true as const);

/** Sends clients to where the local registry redirects. */
export class PassOn {
  readonly #deps: ProxyDeps;
  readonly #options: ProxyOptions;
  readonly #proof: Proof;
  readonly #believed = createLru<Digest, true>('storedBlobs', { ttl: BELIEF });
  readonly #looks = createSingleFlight<Answer<true>>();
  /** Storages by origin: whether they ever answered us; below, those that did not answer lately, with the failure. */
  readonly #reached = createLru<string, boolean>('storages');
  readonly #away = createLru<string, Failure>('storages', { ttl: AWAY, sizeOf: () => FAILURE_BYTES });

  constructor(deps: ProxyDeps, options: ProxyOptions, proof: Proof) {
    this.#deps = deps;
    this.#options = options;
    this.#proof = proof;
  }

  /**
   * The answer where a storage cannot be checked. One that never answered us may be one that only clients can reach.
   * While the primary is down as well, clients are redirected to any storage.
   */
  #unseen({ log }: FastifyRequest, origin: string, failure: Failure): Answer<true> {
    const { primary } = this.#deps;
    const hasAnswered = this.#reached.get(origin);
    if (hasAnswered && !primary.client.breaker.isOpen) return failure;
    if (hasAnswered === undefined) {
      this.#reached.set(origin, false);
      const reason = failure.kind === 'unavailable' ? failure.reason : failure.kind;
      log.warn({ storage: origin, reason }, 'the local registry’s storage is not reached from here: passed on unseen');
    }
    return GOOD;
  }

  /** Requests the blob's first byte from the storage, which shows its size, too. */
  async #look(request: FastifyRequest, place: Place, location: string, origin: string): Promise<Answer<true>> {
    const { secondaryTimeout } = this.#options;
    const { secondary, suspicion } = this.#deps;
    const { name, digest } = place;
    const first = await secondary.blobs.openAt(name, digest, location, secondaryTimeout, { start: 0, end: 0 });
    if (isNotStored(first)) {
      this.#reached.set(origin, true);
      suspicion.suspect(name, digest);
      request.log.warn({ repository: name, digest, storage: origin }, 'a blob is not in the local registry’s storage');
      return NOT_HERE;
    }
    if (first.kind !== 'found' && first.kind !== 'unsatisfiable') {
      if (first.kind === 'unavailable' && first.storage === 'away') this.#away.set(origin, first);
      return this.#unseen(request, origin, first);
    }
    this.#reached.set(origin, true);
    if (first.kind === 'found') release(first.value);
    // An empty blob has no first byte.
    const size = first.kind === 'found' ? first.value.size : 0;
    // Other clients wait for this check, too: it goes on when this one leaves.
    const verdict =
      size === undefined
        ? 'unknown'
        : await this.#proof.confirm(place, size, { log: request.log, caller: stayingCaller(request.caller.share) });
    if (verdict === 'damaged') return NOT_HERE;
    this.#believed.set(digest, true);
    return GOOD;
  }

  async #seen(...[request, place, location, origin]: LookAt): Promise<Answer<true>> {
    if (this.#believed.has(place.digest)) return GOOD;
    const failure = this.#away.get(origin);
    if (failure) return this.#unseen(request, origin, failure);
    return this.#looks(place.digest, () => this.#look(request, place, location, origin));
  }

  /** Sends a client there; a failure where it would not get the blob. */
  async serve(
    request: FastifyRequest,
    reply: FastifyReply,
    place: Place,
    location: string | undefined,
  ): Promise<Answer<true>> {
    const { secondary, memory, meter } = this.#deps;
    const { origin: own } = secondary.client.origin;
    const target = location !== undefined && URL.canParse(location) ? new URL(location) : undefined;
    // A redirect to the registry itself is of no use to a client.
    if (location === undefined || !target || target.origin === own || !/^https?:$/.test(target.protocol)) {
      return unusable('redirect that leads nowhere');
    }
    const { digest } = place;
    const look = await this.#seen(request, place, location, target.origin);
    if (look.kind !== 'found') return look;
    meter('local_deliveries_total', { by: 'storage' });
    request.deliveredBy = 'storage';
    // How many bytes of a part are sent, only the storage knows.
    if (request.note && request.headers.range === undefined) request.note.handedBytes = memory.sizeOf(digest);
    reply.code(307).headers({
      ...API_VERSION,
      ...PRIVATE,
      // Unchanged: it may be signed.
      location,
      'docker-content-digest': digest,
      'content-length': '0',
    });
    reply.send();
    return GOOD;
  }
}
