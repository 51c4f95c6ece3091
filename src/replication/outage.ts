// Outages: what hinders all rows, and not only the one that met it. The worker pauses then, and no attempt is counted.
import { failureText, type Failure } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import { CopyFailed, SecondaryReadOnly } from './copy-failure.ts';
import { StoreUnavailable } from './rows.ts';
import type { Site } from './site.ts';
import { WalkFailed } from './walk.ts';

/** Why no row can be worked on, in plain words, and how long (ms) nothing is tried. */
export interface SiteOutage {
  readonly reason: string;
  readonly pause: number;
}

/** Times in milliseconds. */
export interface OutageOptions {
  readonly outagePause?: number;
  readonly readOnlyPause?: number;
}

// A registry that wants more time than this (ms) is asked again all the same.
const BUSY_MAX = 600_000;
const BUSY_PAUSE = 30_000;

/** How long (ms) a Retry-After says (RFC 9110 section 10.2.3). */
function busyPause({ retryAfter = '' }: Extract<Failure, { kind: 'busy' }>, now: number): number {
  const time = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : Date.parse(retryAfter) - now;
  return Number.isNaN(time) ? BUSY_PAUSE : Math.min(BUSY_MAX, Math.max(1_000, time));
}

function failureOf(error: unknown): Failure | undefined {
  return error instanceof CopyFailed || error instanceof WalkFailed ? error.failure : undefined;
}

/** Decides whether an error is an outage of the site; asks both registries where the error leaves that open. */
export class Outages {
  readonly #clock: () => number;
  readonly #outagePause: number;
  readonly #readOnlyPause: number;
  readonly #registries: readonly Registry[];

  constructor(
    { primary, secondary, clock }: Pick<Site, 'primary' | 'secondary' | 'clock'>,
    options: OutageOptions = {},
  ) {
    const { outagePause = 5_000, readOnlyPause = 30_000 } = options;
    this.#clock = clock;
    this.#outagePause = outagePause;
    this.#readOnlyPause = readOnlyPause;
    this.#registries = [primary, secondary];
  }

  /** The outage that an error comes from; undefined for an error of its row alone. */
  async find(error: unknown): Promise<SiteOutage | undefined> {
    if (error instanceof SecondaryReadOnly) {
      return { reason: 'the secondary takes no writes', pause: this.#readOnlyPause };
    }
    if (error instanceof StoreUnavailable) return { reason: error.message, pause: this.#outagePause };
    const failure = failureOf(error);
    if (failure?.kind === 'busy') return { reason: 'a registry is busy', pause: busyPause(failure, this.#clock()) };
    return failure?.kind === 'unavailable' ? this.#ofRegistries() : undefined;
  }

  async #ofRegistries(): Promise<SiteOutage | undefined> {
    const reasons = await Promise.all(
      this.#registries.map(async ({ client, ping }) => {
        // Each time a request of its own: an earlier good answer says nothing of now.
        const answer = await ping({ fresh: true, isBelieved: false });
        if (answer.kind !== 'found') return failureText(answer);
        return answer.value.isRegistry ? undefined : `${client.registry}: /v2/ does not answer as a registry`;
      }),
    );
    const reason = reasons.find((one) => one !== undefined);
    return reason === undefined ? undefined : { reason, pause: this.#outagePause };
  }
}
