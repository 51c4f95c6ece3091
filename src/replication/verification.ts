// Verification put together: what is in the secondary is looked at in its interval, at a rate that leaves room for pulls.
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../lib/log.ts';
import { createRate } from '../lib/rate.ts';
import type { Digest } from '../oci/digest.ts';
import type { Registry } from '../registry/registry.ts';
import { createAudit, type Audit } from './audit.ts';
import { createDamage, type Damage } from './damage.ts';
import { createInspector } from './inspect.ts';
import type { RowStore } from './rows.ts';

/** What verification is made of. */
export interface VerificationDeps {
  readonly secondary: Registry;
  readonly rows: RowStore;
  readonly isReplicated: (name: string) => boolean;
  readonly onMarked: () => void;
  /** A local copy is not to be served, or is whole again. */
  readonly onDamaged: (name: string, digest: Digest) => void;
  readonly onHealed: (digest: Digest) => void;
  readonly log: Log;
  readonly clock: () => number;
}

/** `interval` in milliseconds, `rate` in bytes a second. */
export interface VerificationOptions {
  readonly interval: number;
  readonly rate?: number;
}

/** The parts of verification that others use. */
export interface Verification {
  readonly damage: Damage;
  readonly audit: Audit;
  /** Verifies if it is time; gives the time (ms) to the next. Never rejects. */
  whenDue(): Promise<number>;
}

/** A fact: when the last verification that came to its end did (ms since the epoch). */
const VERIFIED = 'verify.ended';
const RATE = 32 * 1024 * 1024;
// After a verification that ended early (ms).
const AGAIN_AFTER = 600_000;

function sleep(time: number, signal: AbortSignal | undefined): Promise<void> {
  return delay(time, undefined, signal ? { signal, ref: false } : { ref: false });
}

/** @see Verification */
export function createVerification(deps: VerificationDeps, options: VerificationOptions): Verification {
  const { secondary, rows, log, clock } = deps;
  const { interval, rate = RATE } = options;
  const inspector = createInspector({ secondary, rate: createRate(rate, { clock: () => performance.now(), sleep }) });
  const damage = createDamage({ ...deps, inspector });
  const audit = createAudit({ ...deps, inspector, damage });

  async function verify(): Promise<number> {
    const last = await rows.getFact(VERIFIED);
    // At the first start there is nothing yet, and starts after it must not put it off.
    if (typeof last !== 'number') await rows.setFact(VERIFIED, clock());
    else if (clock() >= last + interval) {
      const { error } = await audit.run();
      if (error !== undefined) return Math.min(interval, AGAIN_AFTER);
      await rows.setFact(VERIFIED, clock());
    } else return last + interval - clock();
    return interval;
  }

  return {
    damage,
    audit,
    whenDue: () =>
      verify().catch((error: unknown) => {
        log.warn({ reason: (error as Error).message }, 'verification failed');
        return Math.min(interval, AGAIN_AFTER);
      }),
  };
}
