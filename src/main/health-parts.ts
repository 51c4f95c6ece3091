// What may be wrong beside the registries while pulls are answered: `/readyz` and the status tell of it.
import type { Spool } from '../fill/spool.ts';
import type { DirectoryLock } from '../lib/directory-lock.ts';
import type { Replication } from '../replication/replication.ts';
import type { SqliteStore } from '../replication/store/sqlite.ts';
import type { Part } from '../status/health.ts';
import type { Sites } from './sites.ts';

/** What the parts are asked of. */
export interface HealthPartsDeps {
  readonly directory: Pick<DirectoryLock, 'look'>;
  readonly rows: Pick<SqliteStore, 'troubles'>;
  readonly spool: Pick<Spool, 'trouble'>;
  readonly worker: Pick<Replication['worker'], 'pausedBecause'>;
  readonly sites: Pick<Sites, 'troubles'>;
}

function textsOf(...texts: readonly (string | undefined)[]): readonly string[] {
  return texts.filter((text) => text !== undefined);
}

/** The parts of this process, in the order in which their reasons are told. */
export function createHealthParts({ directory, rows, spool, worker, sites }: HealthPartsDeps): readonly Part[] {
  const pause = (): string | undefined =>
    worker.pausedBecause === undefined ? undefined : `replication pauses: ${worker.pausedBecause}`;
  return [
    { what: 'the data directory', code: 'data-directory-gone', troubles: async () => textsOf(await directory.look()) },
    { what: 'the database', code: 'database-unavailable', troubles: rows.troubles },
    { what: 'the spool', code: 'disk-full', troubles: async () => textsOf(await spool.trouble()) },
    { what: 'replication', code: 'worker-paused', troubles: async () => textsOf(pause()) },
    { what: 'the key files', code: 'key-files', troubles: async () => sites.troubles() },
  ];
}
