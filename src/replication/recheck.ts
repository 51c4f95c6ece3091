// Looking again at what is unsupported: another version of the secondary may take it, and so may another configuration,
// of which nothing tells.
import type { Log } from '../lib/log.ts';
import type { Registry } from '../registry/registry.ts';
import type { RowStore } from './rows.ts';

/** What it needs; `clock` in milliseconds since the epoch. */
export interface RecheckDeps {
  readonly secondary: Pick<Registry, 'ping'>;
  readonly rows: Pick<RowStore, 'retry' | 'getFact' | 'setFact'>;
  readonly onMarked: () => void;
  readonly log: Log;
  readonly clock: () => number;
}

/** Makes unsupported rows due if it is time; gives the time (ms) to the next look. Never rejects. */
export type Recheck = () => Promise<number>;

/** A fact: when unsupported rows were last made due, and what the secondary told of itself then. */
const RECHECKED = 'unsupported.rechecked';
const LOOK_EVERY = 600_000;
const CONFIGURATION_AFTER = 24 * 3_600_000;

interface Rechecked {
  readonly at: number;
  readonly version: string;
}

/** @see Recheck */
export function createRecheck({ secondary, rows, onMarked, log, clock }: RecheckDeps): Recheck {
  async function look(): Promise<void> {
    const { version, isRegistry, acceptsUs } = await secondary.ping({ fresh: true });
    if (!isRegistry || !acceptsUs) return;
    const last = (await rows.getFact(RECHECKED)) as Rechecked | null | undefined;
    const now = clock();
    const isOtherVersion = last?.version !== version;
    // A clock that was put back makes none longer.
    if (last && !isOtherVersion && Math.abs(now - last.at) < CONFIGURATION_AFTER) return;
    const count = last ? await rows.retry({ states: ['unsupported'] }, now) : 0;
    await rows.setFact(RECHECKED, { at: now, version } satisfies Rechecked);
    if (count === 0) return;
    log.info({ rows: count, isOtherVersion }, 'what the secondary did not take is tried again');
    onMarked();
  }

  return async () => {
    await look().catch((error: unknown) => {
      log.warn({ reason: (error as Error).message }, 'what the secondary did not take is not tried again yet');
    });
    return LOOK_EVERY;
  };
}
