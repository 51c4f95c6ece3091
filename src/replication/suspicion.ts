// Suspicions: what a pull found wrong with a local blob is looked into at once, and not only by the next verification.
import type { Log } from '../lib/log.ts';
import { createLru } from '../lib/lru.ts';
import type { Digest } from '../oci/digest.ts';
import type { Damage } from './damage.ts';
import type { Inspector } from './inspect.ts';
import type { RowStore } from './rows.ts';
import type { Verification } from './verification.ts';

/** Hears of local blobs from those who serve them; nobody waits for what is made of it. */
export interface Suspicion {
  /** A local blob was short or wrong. */
  suspect(name: string, digest: Digest): void;
  /** A local blob that was, was read and is whole again. */
  clear(name: string, digest: Digest): void;
  /** Ends what is looked into; resolves when it has ended. */
  stop(): Promise<void>;
}

/** What it needs. */
export interface SuspicionDeps {
  readonly damage: Pick<Damage, 'note' | 'healed' | 'isKnown'>;
  readonly inspector: Pick<Inspector, 'read'>;
  readonly verification: Pick<Verification, 'run'>;
  readonly rows: Pick<RowStore, 'retry'>;
  readonly onMarked: () => void;
  /** Off: what is damaged is listed, and nothing is done about it. */
  readonly isOn: boolean;
  readonly log: Log;
  readonly clock: () => number;
}

// A registry that is stopped breaks off every transfer: each blob is looked into once in this time (ms), and of very many
// at once those beyond this number are left to the next verification.
const ONCE_IN = 60_000;
const WAITING_MAX = 1_000;

/** @see Suspicion */
export function createSuspicion(deps: SuspicionDeps): Suspicion {
  const { damage, inspector, verification, rows, onMarked, isOn, log, clock } = deps;
  const lately = createLru<string, true>('suspects', { ttl: ONCE_IN });
  const waiting: { readonly name: string; readonly digest: Digest }[] = [];
  const unsound = createLru<string, true>('unsoundRepositories');
  const stopping = new AbortController();
  let reading: Promise<void> | undefined;
  let verifying: Promise<void> | undefined;

  async function read(name: string, digest: Digest): Promise<void> {
    const { kind, reason } = await inspector.read(name, digest, { signal: stopping.signal });
    if (kind !== 'damaged' && kind !== 'missing') return;
    if (kind === 'damaged') await damage.note(name, digest, reason);
    if (!isOn) return;
    unsound.set(name, true);
    verifying ??= verify();
  }

  async function readAll(): Promise<void> {
    for (let next = waiting.shift(); next && !stopping.signal.aborted; next = waiting.shift()) {
      const { name, digest } = next;
      await read(name, digest).catch((error: unknown) => {
        if (stopping.signal.aborted) return;
        log.warn({ repository: name, digest, reason: (error as Error).message }, 'damage could not be looked into');
      });
    }
    reading = undefined;
  }

  /** The tags that stand on it are not what they were taken for: they are found, and brought again or fail. */
  async function verify(): Promise<void> {
    while (unsound.size > 0 && !stopping.signal.aborted) {
      const names = new Set(unsound.keys());
      unsound.clear();
      // It tells in the log why it could not.
      await verification.run({ wanted: (name) => names.has(name) });
    }
    verifying = undefined;
  }

  async function heal(name: string, digest: Digest): Promise<void> {
    await damage.healed(name, digest);
    // Rows that failed for it need not wait for their time.
    if (isOn && (await rows.retry({ repository: name, states: ['failed'] }, clock())) > 0) onMarked();
  }

  return {
    suspect(name, digest) {
      const key = `${name}@${digest}`;
      if (lately.has(key) || waiting.length >= WAITING_MAX || stopping.signal.aborted) return;
      lately.set(key, true);
      waiting.push({ name, digest });
      reading ??= readAll();
    },
    clear(name, digest) {
      if (!damage.isKnown(digest)) return;
      heal(name, digest).catch((error: unknown) => {
        log.warn({ repository: name, digest, reason: (error as Error).message }, 'a mended blob could not be noted');
      });
    },
    async stop() {
      stopping.abort(new Error('stopped'));
      await reading;
      await verifying;
    },
  };
}
