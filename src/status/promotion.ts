// Whether a secondary is whole, so that its site may become the primary: judged from one snapshot, without a question.
import { bytesText, counted, durationText, fromNow } from './figures.ts';
import type { Run, Snapshot, VerifyRun } from './snapshot.ts';

/** `no`: something of the primary is not here, or more than the primary had. `unknown`: nothing here tells. `note`: good to know. */
export type PromotionVerdict = 'ok' | 'no' | 'unknown' | 'note';

/** One check, and what to do where it is not `ok`. */
export interface PromotionCheck {
  readonly check: string;
  readonly verdict: PromotionVerdict;
  readonly text: string;
  readonly advice: string | null;
}

/** All checks; `promotable` is null where it cannot be told. */
export interface Promotion {
  readonly promotable: boolean | null;
  readonly checks: readonly PromotionCheck[];
}

type Finding = readonly [verdict: PromotionVerdict, text: string, advice?: string];
type Check = (snapshot: Snapshot, now: number) => Finding;

const DAY = 86_400_000;

const replication: Check = ({ replication: { on } }) =>
  on
    ? ['ok', 'replication is on']
    : [
        'unknown',
        'replication is off: what the secondary lacks is not known here',
        'Ask what replicates here instead (GitLab: Admin, Geo, Sites), or set GEO_REPLICATION=on and wait for a backfill.',
      ];

const tags: Check = ({ replication: { tags: states } }) => {
  const { failed, unsupported } = states;
  const open = states.pending + states.syncing + states.recheck;
  if (open + failed + unsupported === 0) return ['ok', `${counted(states.synced, 'image')} synced, none is missing`];
  const parts = [
    ...(open > 0 ? [`${counted(open, 'image')} not compared or copied yet`] : []),
    ...(failed > 0 ? [`${counted(failed, 'image fails', 'images fail')} to replicate`] : []),
    ...(unsupported > 0 ? [`${counted(unsupported, 'image is', 'images are')} not taken by the secondary`] : []),
  ];
  const advice =
    failed + unsupported > 0
      ? 'See status for the causes, mend them, and run retry; copy what the secondary does not take somewhere else.'
      : 'Wait until the queue is empty: status --watch.';
  return ['no', parts.join(', '), advice];
};

const lag: Check = ({ replication: { lagMs } }) =>
  lagMs === 0
    ? ['ok', 'all events are worked off']
    : ['no', `an event of ${durationText(lagMs)} ago is not worked off`, 'Wait until the lag is 0: status --watch.'];

/** The later of the two runs that look at all that the primary has. */
function lastWalk({ backfill, reconcile }: Snapshot['replication']['runs']): Run | null {
  const ended = [backfill, reconcile].filter((run) => run !== null && run.endedAt !== null);
  return ended.toSorted((one, other) => Date.parse(other!.endedAt!) - Date.parse(one!.endedAt!))[0] ?? null;
}

const compared: Check = ({ replication: { runs } }, now) => {
  const run = lastWalk(runs);
  if (!run) {
    return [
      'unknown',
      'the sites were not compared since the start',
      'While the primary answers: geo-registry-proxy backfill. Without it nothing tells what was pushed before the start.',
    ];
  }
  const when = fromNow(run.endedAt!, now);
  const isWhole = run.error === null && run.repositoriesFailed === 0;
  return isWhole
    ? ['ok', `all that the primary has was compared ${when}`]
    : ['no', `the comparison that ended ${when} is not whole`, 'Run backfill again, and see what it could not read.'];
};

const damaged: Check = ({ damaged: count }) =>
  count === 0
    ? ['ok', 'no blob is known to be damaged']
    : [
        'no',
        `${counted(count, 'blob')} of the secondary ${count === 1 ? 'is' : 'are'} damaged`,
        'While the primary answers: remove the files that status names, and run retry.',
      ];

const removals: Check = ({ replication: { removals: given } }) => {
  const { held, suspended } = given;
  if (held === 0 && !suspended) return ['ok', 'no removal waits'];
  const what = held > 0 ? `${counted(held, 'removal')} wait for a confirmation` : 'removals are suspended';
  return [
    'no',
    `${what}: the secondary has images that the primary has deleted`,
    'Look at them: confirm-removals. What stays would come back with the promotion.',
  ];
};

/** Rows tell what is stored: a file stays for some seconds after that. */
const spool: Check = ({ spoolBytes }) =>
  spoolBytes === null || spoolBytes === 0
    ? ['ok', 'the spool is empty']
    : ['note', `${bytesText(spoolBytes)} in the spool: they come in, or were stored just now`];

function ageOf({ endedAt }: VerifyRun, now: number): number {
  return now - Date.parse(endedAt!);
}

const verified: Check = ({ replication: { runs } }, now) => {
  const { verify } = runs;
  if (!verify || verify.endedAt === null)
    return ['note', 'nothing was verified since the start', 'geo-registry-proxy verify reads what is stored.'];
  const when = fromNow(verify.endedAt, now);
  if (ageOf(verify, now) > 30 * DAY) return ['note', `the last verification ended ${when}`, 'Run verify.'];
  return ['ok', `verified ${when}`];
};

const secondary: Check = ({ registries }) => {
  if (!registries)
    return ['unknown', 'no process of the proxy answers: only the database was read', 'Start it, and ask again.'];
  const { up, cause } = registries.secondary;
  return up
    ? ['ok', 'the secondary registry answers']
    : [
        'no',
        `the secondary registry is down: ${cause ?? 'no reason is known'}`,
        'It has to serve pushes: mend it first.',
      ];
};

const primary: Check = ({ registries, webhook }, now) => {
  if (!registries) return ['note', 'whether the primary answers was not asked'];
  const { up, since } = registries.primary;
  if (up)
    return [
      'note',
      'the primary still answers: what is pushed there from now on is missing here',
      'Planned: stop pushes there first, then ask again.',
    ];
  const told = webhook?.lastCallAt ?? null;
  const last = told === null ? '' : `; its last event came ${fromNow(told, now)}`;
  return [
    'note',
    `the primary is down${since === null ? '' : ` (${fromNow(since, now)})`}${last}: what was pushed after that is not known`,
    'Unplanned: what is not here is on the old primary, and can be pushed again from there or from where it was built.',
  ];
};

const CHECKS: Readonly<Record<string, Check>> = {
  secondary,
  replication,
  tags,
  lag,
  compared,
  damaged,
  removals,
  spool,
  verified,
  primary,
};

/** Judges a snapshot; `now` in milliseconds since the epoch. */
export function promotionOf(snapshot: Snapshot, now: number): Promotion {
  const checks = Object.entries(CHECKS).map(([check, look]): PromotionCheck => {
    const [verdict, text, advice = null] = look(snapshot, now);
    return { check, verdict, text, advice };
  });
  const has = (wanted: PromotionVerdict): boolean => checks.some(({ verdict }) => verdict === wanted);
  return { promotable: has('no') ? false : has('unknown') ? null : true, checks };
}
