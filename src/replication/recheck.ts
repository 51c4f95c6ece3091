// Trying unsupported rows again: another version of the secondary may take them, and so may another configuration, which
// cannot be seen from outside.
import { failureText } from '../registry/answer.ts';
import type { Queue } from './queue.ts';
import type { Site } from './site.ts';

/** A fact: when unsupported rows were last made due, and the version of the secondary then. */
const RECHECKED = 'unsupported.rechecked';
const LOOK_EVERY = 600_000;
const CONFIGURATION_AFTER = 24 * 3_600_000;

interface Rechecked {
  readonly at: number;
  readonly version: string;
}

type RecheckSite = Pick<Site, 'secondary' | 'rows' | 'log' | 'clock'>;

async function recheck({ secondary, rows, log, clock }: RecheckSite, queue: Queue): Promise<void> {
  const ping = await secondary.ping({ fresh: true });
  if (ping.kind !== 'found') throw new Error(failureText(ping));
  const { version, isRegistry, acceptsUs } = ping.value;
  if (!isRegistry || !acceptsUs) return;
  const last = (await rows.getFact(RECHECKED)) as Rechecked | null | undefined;
  const now = clock();
  const isOtherVersion = last?.version !== version;
  // A clock that was put back does not make the wait longer.
  if (last && !isOtherVersion && Math.abs(now - last.at) < CONFIGURATION_AFTER) return;
  const count = last ? await queue.retry({ states: ['unsupported'] }) : 0;
  await rows.setFact(RECHECKED, { at: now, version } satisfies Rechecked);
  if (count > 0) log.info({ rows: count, isOtherVersion }, 'what the secondary did not take is tried again');
}

/** Makes unsupported rows due if it is time; answers the time (ms) to the next call. Never rejects. */
export async function recheckUnsupported(site: RecheckSite, queue: Queue): Promise<number> {
  await recheck(site, queue).catch((error: unknown) => {
    site.log.warn({ reason: (error as Error).message }, 'what the secondary did not take is not tried again yet');
  });
  return LOOK_EVERY;
}
