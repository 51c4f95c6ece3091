// Trouble: what stands in the way of all rows, and not of the one that met it. Nothing is tried then, and no attempt burned.
import { RegistryOutage, type Failure } from '../registry/answer.ts';
import { createPinger } from '../registry/ping.ts';
import type { Registry } from '../registry/registry.ts';
import { CopyFailed, SecondaryReadOnly } from './copy-failure.ts';
import { StoreUnavailable } from './rows.ts';
import { WalkFailed } from './walk.ts';

/** What it is, in plain words, and how long (ms) nothing is worth a try. */
export interface Trouble {
  readonly reason: string;
  readonly pause: number;
}

/** Tells whether an error is everybody's: asks both registries how they are. */
export type FindTrouble = (error: unknown) => Promise<Trouble | undefined>;

/** Times in milliseconds. */
export interface TroubleOptions {
  readonly outagePause?: number;
  readonly readOnlyPause?: number;
  readonly clock?: () => number;
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

/** @see FindTrouble */
export function createFindTrouble(
  { primary, secondary }: { readonly primary: Registry; readonly secondary: Registry },
  { outagePause = 5_000, readOnlyPause = 30_000, clock = Date.now }: TroubleOptions = {},
): FindTrouble {
  // A good answer of a moment ago says nothing of now.
  const pingers = [primary, secondary].map(({ client }) => ({
    registry: client.registry,
    ping: createPinger(client, { ttl: 0 }),
  }));

  async function outages(): Promise<Trouble | undefined> {
    const reasons = await Promise.all(
      pingers.map(async ({ registry, ping }) => {
        try {
          return (await ping()).isRegistry ? undefined : `${registry}: /v2/ does not answer as a registry`;
        } catch (error) {
          if (error instanceof RegistryOutage) return error.message;
          throw error;
        }
      }),
    );
    const reason = reasons.find((one) => one !== undefined);
    return reason === undefined ? undefined : { reason, pause: outagePause };
  }

  return async (error) => {
    if (error instanceof SecondaryReadOnly) return { reason: 'the secondary takes no writes', pause: readOnlyPause };
    if (error instanceof StoreUnavailable) return { reason: error.message, pause: outagePause };
    const failure = failureOf(error);
    if (failure?.kind === 'busy') return { reason: 'a registry is busy', pause: busyPause(failure, clock()) };
    return failure?.kind === 'unavailable' ? outages() : undefined;
  };
}
