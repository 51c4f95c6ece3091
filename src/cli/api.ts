// What servers answer, as the commands read it: types alone. A server of an earlier version leaves out what is partial here.
import type * as Api from '../status/api.ts';
import type { Snapshot } from '../status/snapshot.ts';

export type { Pull, RegistryState, Transfer } from '../status/api.ts';

/** One thing that is wrong or waits for a person; a command may find one that the server did not name. */
export type Problem = Pick<Api.Problem, 'severity' | 'text' | 'advice'>;

/** What the snapshot of a newer server has besides. */
type StatusAdditions = Pick<Api.Snapshot, 'problems' | 'registries' | 'webhook' | 'spool' | 'pulls' | 'rate'>;

/** A snapshot of any version. */
export type AnySnapshot = Omit<Snapshot, keyof StatusAdditions> & Partial<StatusAdditions>;

/** How far a run is, as a newer server tells it. */
export type RunProgress = Pick<Api.Run, 'done' | 'total' | 'timeLeftMs'>;
