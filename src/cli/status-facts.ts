// The facts of `status`, a name and a text each; those that only a running server knows are left out where none runs.
import { bytesText, counted, countText, durationText, fromNow, visibleText } from '../status/figures.ts';
import type { Run, VerifyRun } from '../status/snapshot.ts';
import { whyRemovalsWait } from '../status/suspension-text.ts';
import type { AnySnapshot, RegistryState } from './api.ts';
import type { Style } from './terminal.ts';

/** How they are shown: `now` in ms. */
export interface FactsLook {
  readonly now: number;
  readonly style: Style;
}

type Fact = readonly [string, string];

// States by the page's words for them: something good, something that waits, something that is wrong.
const STATES: Readonly<Record<string, readonly [string, 'good' | 'warn' | 'bad']>> = {
  synced: ['synced', 'good'],
  pending: ['queued', 'warn'],
  syncing: ['syncing', 'warn'],
  recheck: ['rechecking', 'warn'],
  unsupported: ['unsupported', 'warn'],
  failed: ['failed', 'bad'],
};

function whenText({ startedAt, endedAt }: Pick<Run, 'startedAt' | 'endedAt'>, now: number): string {
  return endedAt === null ? `began ${fromNow(startedAt, now)}` : `ended ${fromNow(endedAt, now)}`;
}

function earlyText(error: string | null): string {
  return error === null ? '' : `; ended early: ${visibleText(error)}`;
}

function runText(run: Run | null, now: number): string {
  if (!run) return 'not since the start';
  const { repositories, repositoriesDone, repositoriesFailed, tags, marked, error } = run;
  const seen = [
    `${countText(repositoriesDone)} of ${counted(repositories, 'repository', 'repositories')}`,
    ...(repositoriesFailed > 0 ? [`${countText(repositoriesFailed)} of them failed`] : []),
    counted(tags, 'tag'),
    `${countText(marked)} queued`,
  ].join(', ');
  return `${whenText(run, now)}: ${seen}${earlyText(error)}`;
}

function verifyText(run: VerifyRun | null, now: number): string {
  if (!run) return 'not since the start';
  const { rows, marked, unknown, damaged, bytes, error } = run;
  const seen = [
    counted(rows, 'tag'),
    `${countText(marked)} queued`,
    ...(unknown > 0 ? [`${countText(unknown)} not known`] : []),
    ...(damaged > 0 ? [`${countText(damaged)} damaged`] : []),
    `${bytesText(bytes)} read`,
  ].join(', ');
  return `${whenText(run, now)}: ${seen}${earlyText(error)}`;
}

function removalsText({ held, lastDay, limit, suspension }: AnySnapshot['replication']['removals']): string {
  const text = `${countText(lastDay)} in 24 h (limit ${countText(limit)}), ${countText(held)} held`;
  const why = suspension ? `; ${whyRemovalsWait(suspension)}` : '';
  return `${text}${why}${held > 0 || suspension?.isCompared ? '; see confirm-removals' : ''}`;
}

function workerText({ replication: { on, worker }, rate }: AnySnapshot, now: number): string {
  if (!on) return 'off: only what clients pull is stored';
  const { running, pausedUntil, pausedBecause } = worker;
  if (pausedUntil !== null) return `pauses, goes on ${fromNow(pausedUntil, now)}: ${visibleText(pausedBecause ?? '')}`;
  const speed = rate && rate.bytesPerSecond >= 1 ? [`${bytesText(rate.bytesPerSecond)}/s`] : [];
  const left =
    rate && rate.timeLeftMs !== null && rate.timeLeftMs > 0 ? [`about ${durationText(rate.timeLeftMs)} left`] : [];
  return [`${countText(running)} syncing`, ...speed, ...left].join(', ');
}

function registryText({ url, up, since, latencyMs, cause }: RegistryState, { now, style }: FactsLook): string {
  const duration = since === null ? '' : ` for ${durationText(now - Date.parse(since))}`;
  const answer = latencyMs === null ? '' : `, ${durationText(latencyMs)}`;
  const state = up
    ? style.good('up') + duration + answer
    : `${style.bad('down')}${duration}: ${visibleText(cause ?? 'no reason is known')}`;
  return `${visibleText(url)}  ${state}`;
}

function registryFacts({ registries, breakers }: AnySnapshot, look: FactsLook): Fact[] {
  if (registries) {
    const { primary, secondary } = registries;
    return [
      ['primary', registryText(primary, look)],
      ['secondary', registryText(secondary, look)],
    ];
  }
  const open = Object.entries(breakers ?? {}).flatMap(([name, breaker]) => (breaker === 'open' ? [name] : []));
  const { style } = look;
  return [
    ['registries', open.length === 0 ? style.good('both answer') : style.bad(`taken for down: ${open.join(', ')}`)],
  ];
}

function pullFacts({ pulls, webhook }: AnySnapshot, { now, style }: FactsLook): Fact[] {
  const facts: Fact[] = [];
  if (pulls) {
    const { requests, bytes, errors, wanBytes, wanSavedBytes, hitRatioBytes } = pulls.today;
    const hits = hitRatioBytes === null ? [] : [`${Math.round(hitRatioBytes * 100)} % of them from here`];
    const wrong = errors === 0 ? [] : [style.bad(counted(errors, 'error'))];
    facts.push([
      'pulls',
      [`${counted(requests, 'request')} today`, `${bytesText(bytes)}`, ...hits, ...wrong].join(', '),
    ]);
    facts.push(['wan', `${bytesText(wanSavedBytes)} saved today, ${bytesText(wanBytes)} fetched from the primary`]);
  }
  if (webhook) {
    const { on, lastCallAt, lastResult } = webhook;
    const last =
      lastCallAt === null ? 'never called' : `called ${fromNow(lastCallAt, now)}: ${visibleText(lastResult ?? '')}`;
    facts.push(['webhook', on ? last : 'off (GEO_EVENTS_TOKEN)']);
  }
  return facts;
}

/** What only a process knows. */
function liveFacts(snapshot: AnySnapshot, look: FactsLook): Fact[] {
  const { breakers, spoolBytes, spool, replication } = snapshot;
  if (!breakers) return [];
  const { now } = look;
  const { runs } = replication;
  const most = spool ? ` of ${bytesText(spool.max)}` : '';
  return [
    ['replication', workerText(snapshot, now)],
    ['backfill', runText(runs.backfill, now)],
    ['compare run', runText(runs.reconcile, now)],
    ['verification', verifyText(runs.verify, now)],
    ['spool', bytesText(spoolBytes ?? 0) + most],
  ];
}

function storedFacts({ replication, damaged }: AnySnapshot, { style }: FactsLook): Fact[] {
  const { tags, queue, lagMs, bytes, removals, malformedEvents, waiting: dependent } = replication;
  const asked = { 'by pulls': queue.onDemand, 'by pushes': queue.event };
  const waiting = { ...asked, 'by compare runs': queue.reconcile, 'by backfill': queue.backfill };
  return [
    ['tags', statesText(tags, style)],
    [
      'queue',
      `${countsText(waiting)}${dependent > 0 ? `; ${countText(dependent)} of them wait for another image` : ''}`,
    ],
    ['lag', lagMs === 0 ? 'none' : durationText(lagMs)],
    ['removals', removalsText(removals)],
    ['damaged', damaged > 0 ? style.bad(counted(damaged, 'blob')) : counted(damaged, 'blob')],
    ['events', `${countText(malformedEvents)} not understood`],
    ['copied', `${bytesText(bytes)} from the primary`],
  ];
}

function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${countText(count)} ${name}`)
    .join(', ');
}

function statesText(counts: Readonly<Record<string, number>>, style: Style): string {
  return Object.entries(counts)
    .map(([state, count]) => {
      const [word, paint] = STATES[state]!;
      return count === 0 ? `0 ${word}` : style[paint](`${countText(count)} ${word}`);
    })
    .join(', ');
}

/** All facts in their order. */
export function factsOf(snapshot: AnySnapshot, look: FactsLook): Fact[] {
  const isRunning = snapshot.breakers !== null;
  return [
    ...(isRunning ? registryFacts(snapshot, look) : []),
    ...pullFacts(snapshot, look),
    ...storedFacts(snapshot, look),
    ...liveFacts(snapshot, look),
  ];
}
