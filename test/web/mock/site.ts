// A site that the mock server shows: its rows, its status and what else the page asks for; tests change it as they like.
import type {
  Attention,
  Finding,
  ListedTag,
  Problem,
  Pull,
  Snapshot,
  Traffic,
  Transfer,
} from '../../../web/contract.ts';
import { ago, countStates, pulls, totals, traffic, transfers } from './data.ts';

export interface MockSite {
  rows: ListedTag[];
  /** All but what the rows tell. */
  status: Snapshot;
  /** The word of the status, whatever the problems are. */
  claims?: string;
  traffic: { hour: Traffic; day: Traffic };
  pulls: Pull[];
  transfers: Transfer[];
  damaged: Attention['damaged'];
  malformed: Attention['malformed'];
  findings: Finding[];
  /** Kinds and advices of causes. */
  causes: Record<string, { kind: string; advice: string }>;
}

export const FINDINGS: readonly Finding[] = [
  { check: 'Clock', level: 'ok', text: 'Within 40 ms of both registries', advice: null },
  { check: 'Key', level: 'ok', text: 'RSA 4096, key id KZMA:7VQL:…, readable for this user only', advice: null },
  {
    check: 'Primary registry',
    level: 'ok',
    text: 'https://primary.example.com answers and takes our key',
    advice: null,
  },
  { check: 'Secondary registry', level: 'ok', text: 'http://127.0.0.1:5000 answers and takes our key', advice: null },
  { check: 'Token realm', level: 'ok', text: 'The secondary registry names the same realm', advice: null },
  { check: 'Data directory', level: 'ok', text: '312 GiB free on /var/lib/geo-registry-proxy', advice: null },
  {
    check: 'Notifications',
    level: 'warning',
    text: 'The last notification came 6 hours ago',
    advice: 'Push something to the primary. If nothing comes, look at its notifications.endpoints.',
  },
  { check: 'Write to the secondary', level: 'skipped', text: 'Not tried: this run only reads', advice: null },
];

const emptyRun = { repositories: 0, marked: 0, error: null, ratePerSecond: null, timeLeftMs: null };

function replicationOf(): Snapshot['replication'] {
  return {
    on: true,
    tags: countStates([]),
    repositories: { known: 0, synced: 0, failed: 0 },
    queue: { onDemand: 0, event: 0, reconcile: 0, backfill: 0 },
    lagMs: 0,
    bytes: 214.6 * 1024 ** 3,
    verified: 940,
    removals: { held: 0, lastDay: 3, limit: 140, suspension: null },
    worker: { running: 0, pausedUntil: null, pausedBecause: null },
    runs: {
      backfill: {
        ...emptyRun,
        startedAt: ago(9 * 86_400_000),
        endedAt: ago(9 * 86_400_000 - 5_940_000),
        done: 702,
        total: 702,
        repositories: 29,
        marked: 702,
      },
      reconcile: {
        ...emptyRun,
        startedAt: ago(1_500_000),
        endedAt: ago(1_482_000),
        done: 748,
        total: 748,
        repositories: 29,
        marked: 1,
      },
      verify: {
        ...emptyRun,
        startedAt: ago(840_000),
        endedAt: null,
        done: 512,
        total: 748,
        ratePerSecond: 0.6,
        timeLeftMs: 393_000,
        repositories: 18,
        bytes: 61 * 1024 ** 3,
        damaged: 0,
      },
    },
    malformedEvents: 0,
  };
}

/** The status of a site on which nothing is wrong. */
export function healthyStatus(): Snapshot {
  return {
    version: '0.2.0',
    site: 'berlin',
    status: 'ok',
    ready: true,
    reasons: [],
    problems: [],
    startedAt: ago(9 * 86_400_000),
    uptimeMs: 9 * 86_400_000,
    registries: {
      primary: {
        url: 'https://primary.example.com:5050',
        up: true,
        since: ago(3 * 86_400_000),
        latencyMs: 38,
        cause: null,
        about: 'GitLab 4.39',
      },
      secondary: {
        url: 'http://127.0.0.1:5000',
        up: true,
        since: ago(9 * 86_400_000),
        latencyMs: 1,
        cause: null,
        about: 'registry/2.0',
      },
    },
    webhook: {
      on: true,
      path: '/api/v4/container_registry_event/events',
      lastCallAt: ago(74_000),
      lastResult: 'accepted',
      calls: 1_842,
      refused: 0,
    },
    spool: { bytes: 1.9 * 1024 ** 3, max: 20 * 1024 ** 3, diskFreeBytes: 312 * 1024 ** 3 },
    pulls: { today: totals(), sinceStart: totals(8.6) },
    rate: { rowsPerSecond: 0.3, bytesPerSecond: 9.4 * 1024 ** 2, timeLeftMs: 42_000 },
    replication: replicationOf(),
    damaged: 0,
  };
}

/** A site with these rows on which nothing else is wrong. */
export function siteOf(rows: ListedTag[]): MockSite {
  return {
    rows,
    status: healthyStatus(),
    traffic: { hour: traffic('hour'), day: traffic('day') },
    pulls: pulls(200),
    transfers: transfers(),
    damaged: [],
    malformed: [],
    findings: [...FINDINGS],
    causes: {},
  };
}

function images(count: number): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? 'image' : 'images'}`;
}

function ownProblems({ rows, damaged, malformed }: MockSite): Problem[] {
  const count = (state: string): number => rows.filter((row) => row.state === state).length;
  const held = rows.filter((row) => row.held && !row.confirmed).length;
  const failing = rows.filter((row) => row.state === 'failed').length;
  const all: (Problem | false)[] = [
    failing > 0 && {
      code: 'failed',
      severity: 'error',
      count: failing,
      text: `${images(failing)} ${failing === 1 ? 'fails' : 'fail'} to replicate`,
      advice: 'Each is tried again by itself. Mend the cause, then retry.',
      link: '#/attention',
    },
    count('unsupported') > 0 && {
      code: 'unsupported',
      severity: 'warning',
      count: count('unsupported'),
      text: `${images(count('unsupported'))} cannot be stored by the secondary registry`,
      advice: 'Clients get them from the primary. A newer registry may take them.',
      link: '#/repositories?state=unsupported',
    },
    damaged.length > 0 && {
      code: 'damaged',
      severity: 'error',
      count: damaged.length,
      text: `${damaged.length} blobs are damaged or missing`,
      advice: 'See what each needs on the page Attention.',
      link: '#/attention',
    },
    held > 0 && {
      code: 'held',
      severity: 'warning',
      count: held,
      text: `${held} removals wait for a confirmation`,
      advice: 'Confirm them if the primary is right.',
      link: '#/attention',
    },
    malformed.length > 0 && {
      code: 'malformed-events',
      severity: 'warning',
      count: malformed.length,
      text:
        malformed.length === 1
          ? '1 notification was not understood'
          : `${malformed.length} notifications were not understood`,
      advice: 'The next compare run finds what they were about.',
      link: '#/attention',
    },
  ];
  return all.filter((problem) => problem !== false);
}

/** The status as the API tells it. */
export function statusOf(site: MockSite): Snapshot {
  const { status, rows } = site;
  const problems = [...ownProblems(site), ...status.problems];
  const repositories = new Set(rows.map(({ repository }) => repository));
  const failing = new Set(rows.filter(({ state }) => state === 'failed').map(({ repository }) => repository));
  const isDegraded = status.status === 'ok' && problems.some(({ severity }) => severity !== 'info');
  return {
    ...status,
    status: site.claims ?? (isDegraded ? 'degraded' : status.status),
    problems,
    reasons: problems.map(({ text }) => text),
    damaged: site.damaged.length,
    replication: {
      ...status.replication,
      tags: countStates(rows),
      repositories: {
        known: repositories.size,
        synced: repositories.size - failing.size,
        failed: failing.size,
      },
      removals: { ...status.replication.removals, held: rows.filter(({ held }) => held).length },
      malformedEvents: site.malformed.length,
    },
  };
}
