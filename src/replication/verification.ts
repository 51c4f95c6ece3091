// Verification put together: what is in the secondary is looked at in its interval, at a rate that leaves room for pulls.
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../lib/log.ts';
import { createRate } from '../lib/rate.ts';
import type { Digest } from '../oci/digest.ts';
import type { Registry } from '../registry/registry.ts';
import { createAudit, type AuditProgress, type AuditScope } from './audit.ts';
import { createDamage, type Damage } from './damage.ts';
import { createInspector, type Inspector } from './inspect.ts';
import type { RowStore } from './rows.ts';

/** What verification is made of. */
export interface VerificationDeps {
  readonly primary: Registry;
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

/** Verification by its interval, and whenever it is asked for. */
export interface Verification {
  readonly damage: Damage;
  readonly inspector: Inspector;
  /** Verifies now; all of it, to its end, is what the next interval begins with. */
  run(scope?: AuditScope): Promise<AuditProgress>;
  /** The run under way, or the last one. */
  readonly progress: AuditProgress | undefined;
  /** Verifies if it is time; gives the time (ms) to the next. Never rejects. */
  whenDue(): Promise<number>;
  /** Ends the run; resolves when it has ended. */
  stop(): Promise<void>;
}

/** A fact: when the last verification that came to its end did (ms since the epoch). */
const VERIFIED = 'verify.ended';
const RATE = 32 * 1024 * 1024;
// The last one cannot have ended later than now, but for a clock that is set a little (ms).
const CLOCK_LEEWAY = 60_000;
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
  // All of it, to its end, whoever asked for it: the next interval begins there.
  const onAllVerified = (): Promise<void> => rows.setFact(VERIFIED, clock());
  const audit = createAudit({ ...deps, inspector, damage, onAllVerified });

  async function verify(): Promise<number> {
    const last = await rows.getFact(VERIFIED);
    // At the first start there is nothing yet, and starts after it must not put it off.
    if (typeof last !== 'number') await rows.setFact(VERIFIED, clock());
    else if (clock() >= last + interval || last > clock() + CLOCK_LEEWAY) {
      const { error } = await audit.run();
      if (error !== undefined) return Math.min(interval, AGAIN_AFTER);
    } else return last + interval - clock();
    return interval;
  }

  return {
    damage,
    inspector,
    run: audit.run,
    get progress() {
      return audit.progress;
    },
    stop: audit.stop,
    whenDue: () =>
      verify().catch((error: unknown) => {
        log.warn({ reason: (error as Error).message }, 'verification failed');
        return Math.min(interval, AGAIN_AFTER);
      }),
  };
}
