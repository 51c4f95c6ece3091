// A site over a rig, for tests of single classes.
import type { Site } from '../../src/replication/site.ts';
import type { Rig } from '../fill/rig.ts';
import { silent } from './store/silent.ts';

/** The rig's registries as a site; the rows are those that are given. */
export function siteOf({ primary, secondary }: Rig, rows: Site['rows']): Site {
  return { primary, secondary, rows, log: silent, meter: () => undefined, clock: Date.now, isReplicated: () => true };
}
