// The command `status`: what the status page shows, for a terminal or a script.
import type { Config } from '../config/config.ts';
import { bytesText, counted, countText, durationText, fromNow, imageText, visibleText } from '../status/figures.ts';
import type { ListedRow } from '../status/row-listing.ts';
import { needsAttention } from '../status/judgement.ts';
import type { Run, Snapshot, VerifyRun } from '../status/snapshot.ts';
import { whyRemovalsWait } from '../status/suspension-text.ts';
import { EXIT } from './exit-code.ts';
import { withSite } from './site.ts';

// Rows that are shown of what needs a person.
const SHOWN = 10;

/** Prints the snapshot as a table, or as the JSON of `GET /api/status`; answers the exit code. */
export function printStatus(config: Config, { json }: { json?: true }): Promise<number> {
  return withSite(config, async ({ administration }) => {
    const snapshot = await administration.snapshot();
    if (json) process.stdout.write(`${JSON.stringify(snapshot, null, 2)}\n`);
    else {
      const { rows: failed } = await administration.list({ states: ['failed'], limit: SHOWN });
      const { rows: unsupported } = await administration.list({ states: ['unsupported'], limit: SHOWN });
      process.stdout.write(`${statusLines(snapshot, { failed, unsupported }, Date.now()).join('\n')}\n`);
    }
    return needsAttention(snapshot) ? EXIT.attention : EXIT.ok;
  });
}

function runText(run: Run | null, now: number): string {
  if (!run) return 'not since the start';
  const { repositories, repositoriesDone, repositoriesFailed, tags, marked, error } = run;
  const seen = [
    `${countText(repositoriesDone)} of ${counted(repositories, 'repository', 'repositories')}`,
    ...(repositoriesFailed > 0 ? [`${countText(repositoriesFailed)} of them failed`] : []),
    counted(tags, 'tag'),
    `${countText(marked)} marked`,
  ].join(', ');
  return `${whenText(run, now)}: ${seen}${earlyText(error)}`;
}

function whenText({ startedAt, endedAt }: Pick<Run, 'startedAt' | 'endedAt'>, now: number): string {
  return endedAt === null ? `runs since ${fromNow(startedAt, now)}` : `ended ${fromNow(endedAt, now)}`;
}

function earlyText(error: string | null): string {
  return error === null ? '' : `; ended early: ${visibleText(error)}`;
}

function verifyText(run: VerifyRun | null, now: number): string {
  if (!run) return 'not since the start';
  const { rows, marked, unknown, damaged, bytes, error } = run;
  const seen = [
    counted(rows, 'tag'),
    `${countText(marked)} marked`,
    ...(unknown > 0 ? [`${countText(unknown)} not known`] : []),
    ...(damaged > 0 ? [`${countText(damaged)} damaged`] : []),
    `${bytesText(bytes)} read`,
  ].join(', ');
  return `${whenText(run, now)}: ${seen}${earlyText(error)}`;
}

function removalsText({ held, lastDay, limit, suspension }: Snapshot['replication']['removals']): string {
  const text = `${countText(lastDay)} in 24 h (limit ${countText(limit)}), ${countText(held)} held`;
  const why = suspension ? `; ${whyRemovalsWait(suspension)}` : '';
  return `${text}${why}${held > 0 || suspension?.isCompared ? '; see confirm-removals' : ''}`;
}

function workerText({ on, worker }: Snapshot['replication'], now: number): string {
  if (!on) return 'off: only what clients pull is stored';
  const { running, pausedUntil, pausedBecause } = worker;
  if (pausedUntil === null) return `${countText(running)} worked on`;
  return `pauses, goes on ${fromNow(pausedUntil, now)}: ${visibleText(pausedBecause ?? '')}`;
}

function failedLine({ repository, reference, attempts, nextAttemptAt, error }: ListedRow, now: number): string {
  const next = nextAttemptAt === null ? '' : `, next ${fromNow(nextAttemptAt, now)}`;
  const image = visibleText(imageText(repository, reference));
  return `  ${image} (${counted(attempts, 'attempt')}${next}): ${visibleText(error ?? 'no reason is known')}`;
}

/** What only a process knows. */
function liveFacts({ breakers, spoolBytes, replication }: Snapshot, now: number): [string, string][] {
  if (!breakers) return [];
  const open = Object.entries(breakers).flatMap(([name, breaker]) => (breaker === 'open' ? [name] : []));
  return [
    ['replication', workerText(replication, now)],
    ['backfill', runText(replication.runs.backfill, now)],
    ['comparison', runText(replication.runs.reconcile, now)],
    ['verification', verifyText(replication.runs.verify, now)],
    ['registries', open.length === 0 ? 'both in use' : `taken for down: ${open.join(', ')}`],
    ['spool', bytesText(spoolBytes ?? 0)],
  ];
}

function storedFacts({ replication, damaged }: Snapshot): [string, string][] {
  const { tags, queue, lagMs, bytes, removals, malformedEvents, waiting: dependent } = replication;
  const asked = { 'asked by clients': queue.onDemand, 'by events': queue.event };
  const waiting = { ...asked, 'by comparison': queue.reconcile, 'by backfill': queue.backfill };
  return [
    ['tags', countsText(tags)],
    ['waiting', `${countsText(waiting)}${dependent > 0 ? `; ${countText(dependent)} of them for another one` : ''}`],
    ['lag', lagMs === 0 ? 'none' : durationText(lagMs)],
    ['removals', removalsText(removals)],
    ['damaged', counted(damaged, 'blob')],
    ['events', `${countText(malformedEvents)} not understood`],
    ['brought over', bytesText(bytes)],
  ];
}

function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${countText(count)} ${name}`)
    .join(', ');
}

function failedLines(snapshot: Snapshot, failed: readonly ListedRow[], now: number): string[] {
  if (failed.length === 0) return [];
  const others = snapshot.replication.tags.failed - failed.length;
  return [
    '',
    'failed (tried again by themselves; at once with the command retry)',
    ...failed.map((row) => failedLine(row, now)),
    ...(others > 0 ? [`  and ${countText(others)} more`] : []),
  ];
}

function reasonLine({ repository, reference, error }: ListedRow): string {
  return `  ${visibleText(imageText(repository, reference))}: ${visibleText(error ?? 'no reason is known')}`;
}

function unsupportedLines(snapshot: Snapshot, unsupported: readonly ListedRow[]): string[] {
  if (unsupported.length === 0) return [];
  const others = snapshot.replication.tags.unsupported - unsupported.length;
  return [
    '',
    'unsupported (the local registry does not take it; clients get it from the primary)',
    ...unsupported.map(reasonLine),
    ...(others > 0 ? [`  and ${countText(others)} more`] : []),
  ];
}

/** Rows that are shown below the table, the first of each state. */
export interface ShownRows {
  readonly failed: readonly ListedRow[];
  readonly unsupported: readonly ListedRow[];
}

/** The table, a line each: names in one column; below it what failed, and what is unsupported. */
export function statusLines(snapshot: Snapshot, { failed, unsupported }: ShownRows, now: number): string[] {
  const { version, site, status, reasons, uptimeMs } = snapshot;
  const up = uptimeMs === null ? '' : `, up ${durationText(uptimeMs)}`;
  const facts: [string, string][] = [
    ['site', `${site} (geo-registry-proxy ${version}${up})`],
    ['status', [status, ...reasons].map(visibleText).join('; ')],
    ...storedFacts(snapshot),
    ...liveFacts(snapshot, now),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  return [...lines, ...failedLines(snapshot, failed, now), ...unsupportedLines(snapshot, unsupported)];
}
