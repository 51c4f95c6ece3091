// The site that replication works on: both registries, the rows, and where it logs, counts and reads the time.
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import type { Registry } from '../registry/registry.ts';
import type { RowStore } from './rows.ts';

/** Built once by the composition root; every part of replication takes it, or the fields that it uses. */
export interface Site {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly rows: RowStore;
  readonly log: Log;
  readonly meter: Meter;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Whether the content of a repository is replicated. */
  readonly isReplicated: (repository: string) => boolean;
}

/** How long (ms) a registry may take until the headers of its answer. */
export const ANSWER_TIMEOUT = 30_000;
