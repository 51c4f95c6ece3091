// The judgement: whether the proxy does its job, and what is wrong. Page, API, `/readyz` and the command `status` share it.
import type { Problem } from './api.ts';
import { counted } from './figures.ts';
import type { Readiness } from './health.ts';
import { inOrder, problem, type ToldProblem } from './problem.ts';
import type { Snapshot } from './snapshot.ts';
import { whyRemovalsWait } from './suspension-text.ts';

/** What is judged; what only a process knows is null in a stopped one. */
export type Judged = Pick<Snapshot, 'replication' | 'damaged' | 'webhook' | 'spool' | 'breakers' | 'uptimeMs'> & {
  /** Whether clients need tokens; undefined where that is not known. */
  readonly hasClientAuth?: boolean | undefined;
};

/** What it came to. */
export interface Judgement {
  readonly status: Snapshot['status'];
  /** The texts of errors and warnings. */
  readonly reasons: readonly string[];
  readonly problems: readonly Problem[];
}

// A primary that pushes at all has called by then (ms).
const WEBHOOK_PATIENCE = 600_000;
// The share of the spool from which on blobs are likely not to fit.
const SPOOL_FULL = 0.95;

function someOf(count: number, make: (count: number) => ToldProblem): readonly ToldProblem[] {
  return count > 0 ? [make(count)] : [];
}

function rowProblems({ replication, damaged }: Judged): readonly ToldProblem[] {
  const { tags, removals, malformedEvents } = replication;
  const { suspension } = removals;
  // A first start waits for no person before everything was compared.
  const isSuspended = suspension !== null && (suspension.isCompared || suspension.because === 'other primary');
  return [
    ...someOf(tags.failed, (count) =>
      problem('failed', `${counted(count, 'image')} ${count === 1 ? 'fails' : 'fail'} to replicate`, { count }),
    ),
    ...someOf(tags.unsupported, (count) =>
      problem('unsupported', `the secondary does not take ${counted(count, 'image')}`, { count }),
    ),
    ...someOf(damaged, (count) =>
      problem('damaged', `${counted(count, 'blob')} of the secondary ${count === 1 ? 'is' : 'are'} damaged`, { count }),
    ),
    ...someOf(removals.held, (count) =>
      problem('held', `${counted(count, 'removal')} ${count === 1 ? 'waits' : 'wait'} for a confirmation`, { count }),
    ),
    ...(isSuspended ? [problem('removals-suspended', `removals: ${whyRemovalsWait(suspension)}`)] : []),
    ...someOf(malformedEvents, (count) =>
      problem('malformed-events', `${counted(count, 'event')} of the primary could not be understood`, { count }),
    ),
  ];
}

const RUN_NAMES = { backfill: 'backfill', reconcile: 'compare run', verify: 'verification' } as const;

function runProblems({ replication: { runs } }: Judged): readonly ToldProblem[] {
  return Object.entries(RUN_NAMES).flatMap(([kind, name]) => {
    const error = runs[kind as keyof typeof RUN_NAMES]?.error ?? null;
    return error === null || error === 'stopped'
      ? []
      : [problem('run-failed', `the last ${name} ended early: ${error}`)];
  });
}

function liveProblems({ replication, webhook, spool, uptimeMs, hasClientAuth }: Judged): readonly ToldProblem[] {
  const isOld = (uptimeMs ?? 0) >= WEBHOOK_PATIENCE;
  const isNeverCalled = webhook?.on === true && replication.on && webhook.lastCallAt === null && isOld;
  return [
    ...(isNeverCalled ? [problem('webhook-never-called', 'the primary has never called the webhook')] : []),
    ...(webhook?.on === true && webhook.lastResult === WRONG_TOKEN
      ? [problem('webhook-refused', 'the last call of the webhook had a wrong token')]
      : []),
    ...(spool && spool.bytes >= SPOOL_FULL * spool.max ? [problem('spool-full', 'the spool is full')] : []),
    ...(replication.on ? [] : [problem('replication-off', 'replication is off')]),
    ...(hasClientAuth === false ? [problem('no-client-auth', 'clients need no tokens')] : []),
  ];
}

function breakerProblems({ breakers }: Judged, known: readonly ToldProblem[]): readonly ToldProblem[] {
  return (['primary', 'secondary'] as const)
    .filter((name) => breakers?.[name] === 'open' && !known.some(({ registry }) => registry === name))
    .map((registry) => problem('breaker-open', `the ${registry} registry is taken for down`, { registry }));
}

/** `webhook.lastResult` of a call with a wrong token. */
export const WRONG_TOKEN = 'refused (wrong token)';

function isBad({ severity }: Problem): boolean {
  return severity !== 'info';
}

/** A problem without what only the judgement needs. */
function toldOf({ code, severity, count, text, advice, link }: ToldProblem): Problem {
  return {
    code,
    severity,
    ...(count === undefined ? {} : { count }),
    text,
    advice,
    ...(link === undefined ? {} : { link }),
  };
}

/** Judges; `readiness` is undefined where no process runs. */
export function judge(readiness: Readiness | undefined, given: Judged): Judgement {
  const known = readiness ? readiness.problems : [problem('stopped', 'no process of the proxy answers')];
  const found = inOrder([
    ...known,
    ...breakerProblems(given, known),
    ...rowProblems(given),
    ...runProblems(given),
    ...(readiness ? liveProblems(given) : []),
  ]);
  const problems = found.map(toldOf);
  const bad = problems.filter(isBad).map(({ text }) => text);
  if (!readiness) return { status: 'stopped', reasons: bad, problems };
  const isServing = readiness.status === 'ok' || readiness.status === 'degraded';
  if (!isServing) return { status: readiness.status, reasons: bad, problems };
  return { status: bad.length === 0 ? 'ok' : 'degraded', reasons: bad, problems };
}

/** Whether a person should look: it does not serve, or something is wrong. Commands exit with a failure then. */
export function needsAttention({ status, problems }: Pick<Snapshot, 'status' | 'problems'>): boolean {
  return status !== 'ok' || problems.some(isBad);
}
