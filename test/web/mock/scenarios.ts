// The sites that the page is looked at with.
import { ago, digestOf, failed, REPOSITORIES, row, syncedRows, totals, traffic } from './data.ts';
import { siteOf, type MockSite } from './site.ts';

const REFUSED = 'the secondary registry refuses the manifest: 400 MANIFEST_INVALID: unknown config media type';
const BLOB_GONE = `the primary does not have blob ${digestOf('gone')} (404 BLOB_UNKNOWN)`;

const ADVICES: MockSite['causes'] = {
  [REFUSED]: {
    kind: 'refused',
    advice:
      'Update the secondary registry to the primary’s version: it does not know this type. Clients are served from the primary meanwhile.',
  },
  [BLOB_GONE]: {
    kind: 'missing-at-primary',
    advice: 'The image is broken at the primary itself: push it again there. Neither site can serve it.',
  },
};

/** All is well. */
export function healthy(): MockSite {
  const site = siteOf(syncedRows());
  site.rows.push(
    row('data/ml/train-gpu', '2026.11', { state: 'syncing', localDigest: null, syncedAt: null }),
    row('platform/base/jdk', '26-ea', { state: 'pending', localDigest: null, syncedAt: null }),
  );
  site.status = {
    ...site.status,
    replication: {
      ...site.status.replication,
      queue: { onDemand: 0, event: 1, reconcile: 0, backfill: 0 },
      lagMs: 4_200,
      worker: { running: 1, pausedUntil: null, pausedBecause: null },
    },
  };
  return site;
}

/** One image fails; all else is well. */
export function oneFailing(): MockSite {
  const site = healthy();
  site.causes = ADVICES;
  site.rows.push(failed('shop/backend/search', '3.4.1', REFUSED));
  return site;
}

function file(digest: string): string {
  return `/var/opt/gitlab/gitlab-rails/shared/registry/docker/registry/v2/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`;
}

function damage(name: string, repository: string) {
  return {
    repository,
    digest: digestOf(name),
    foundAt: ago(5_000_000),
    file: file(digestOf(name)),
  };
}

/** Both registries in trouble, the webhook refused, rows failed, held, damaged, unsupported; all at once. */
export function disaster(): MockSite {
  const site = siteOf(syncedRows());
  site.causes = ADVICES;
  const recent = { attempts: 7, nextAttemptAt: new Date(Date.now() + 900_000).toISOString() };
  site.rows.push(
    ...REPOSITORIES.slice(0, 14).map((name) =>
      failed(name, '4.0.0', 'the primary registry does not answer: connection refused', recent),
    ),
    failed('shop/backend/search', '3.4.1', REFUSED, { state: 'syncing', attempts: 5 }),
    failed('data/ml/serve', '0.9', BLOB_GONE),
    row('data/ml/notebooks', 'wasm', {
      state: 'unsupported',
      error: 'the secondary registry does not take manifests of this type',
      localDigest: null,
    }),
    ...['1.0', '1.1', '1.2'].map((tag) => row('ops/dns', tag, { held: true, state: 'pending', primaryDigest: null })),
    ...Array.from({ length: 60 }, (_, index) => row('mobile/android/build', `r${index}`, { state: 'recheck' })),
    ...Array.from({ length: 240 }, (_, index) =>
      row('data/etl/spark', `q${index}`, { state: 'pending', localDigest: null, syncedAt: null }),
    ),
  );
  site.damaged = [
    {
      ...damage('one', 'shop/frontend/web'),
      kind: 'damaged-here',
      advice:
        'The file’s bytes are wrong. Delete the file; the blob is then copied from the primary again. Until then clients get it from the primary.',
    },
    {
      ...damage('two', 'ops/proxy'),
      kind: 'missing-here',
      advice:
        'The file is gone. Nothing needs to be deleted: retry the repository, and the blob is copied from the primary.',
    },
    {
      ...damage('three', 'data/ml/serve'),
      kind: 'missing-at-primary',
      advice:
        'The primary has lost this blob, and it is not whole here: push the image again at the primary. No client can get it until then.',
    },
  ];
  site.malformed = [
    {
      at: ago(700_000),
      reason: 'events[0].target.repository is missing',
      body: '{"events":[{"action":"push","target":{"digest":"sha256:12ab"}}]}',
    },
  ];
  site.status = {
    ...site.status,
    registries: {
      primary: {
        ...site.status.registries!.primary,
        up: false,
        since: ago(1_260_000),
        latencyMs: null,
        cause: 'connection refused',
      },
      secondary: { ...site.status.registries!.secondary, latencyMs: 410 },
    },
    webhook: { ...site.status.webhook!, lastResult: 'refused', refused: 12, lastCallAt: ago(3_600_000) },
    spool: { bytes: 19.6 * 1024 ** 3, max: 20 * 1024 ** 3, diskFreeBytes: 0.7 * 1024 ** 3 },
    problems: [
      {
        code: 'unreachable',
        severity: 'error',
        text: 'The primary registry does not answer: connection refused, for 21 min',
        advice: 'Clients get what is here, with a warning. Look at primary.example.com:5050 and at the network to it.',
        link: '#/doctor',
      },
      {
        code: 'webhook-refused',
        severity: 'warning',
        count: 12,
        text: '12 notifications were refused: wrong token',
        advice: 'Give the primary the value of GEO_EVENTS_TOKEN as Authorization.',
        link: '#/doctor',
      },
      {
        code: 'spool-full',
        severity: 'warning',
        text: 'The spool is nearly full',
        advice: 'Give GEO_SPOOL_MAX more, or the disk.',
      },
      {
        code: 'no-client-auth',
        severity: 'info',
        text: 'Clients need no token (GEO_CLIENT_AUTH=none)',
        advice: 'Fine on a trusted network.',
      },
    ],
    replication: {
      ...site.status.replication,
      queue: { onDemand: 4, event: 12, reconcile: 0, backfill: 224 },
      lagMs: 1_260_000,
      worker: {
        running: 0,
        pausedUntil: new Date(Date.now() + 24_000).toISOString(),
        pausedBecause: 'the primary registry does not answer',
      },
      removals: { held: 3, lastDay: 140, limit: 140, suspension: null },
      runs: {
        ...site.status.replication.runs,
        reconcile: { ...site.status.replication.runs.reconcile!, error: 'the primary registry does not answer' },
      },
    },
  };
  return site;
}

/** A site that was started a minute ago, and that no client has pulled from. */
export function firstStart(): MockSite {
  const site = siteOf([]);
  site.pulls = [];
  site.transfers = [];
  site.traffic = { hour: traffic('hour', 0), day: traffic('day', 0) };
  const { replication } = site.status;
  site.status = {
    ...site.status,
    startedAt: ago(60_000),
    uptimeMs: 60_000,
    pulls: { today: totals(0), sinceStart: totals(0) },
    rate: { rowsPerSecond: 0, bytesPerSecond: 0, timeLeftMs: null },
    webhook: { ...site.status.webhook!, lastCallAt: null, lastResult: null, calls: 0 },
    problems: [
      {
        code: 'webhook-never-called',
        severity: 'warning',
        text: 'The primary has not sent a notification yet',
        advice:
          'Push something to the primary. If this stays, look at its notifications.endpoints; the page Doctor shows what to put there.',
        link: '#/doctor',
      },
    ],
    replication: { ...replication, bytes: 0, verified: 0, runs: { backfill: null, reconcile: null, verify: null } },
  };
  return site;
}

/** 5,000 images that fail for one reason, a few others for another. */
export function manyFailing(): MockSite {
  const site = oneFailing();
  const cause = 'the primary registry answers 503: upstream connect error or disconnect/reset before headers';
  for (let index = 0; index < 5_000; index += 1) {
    site.rows.push(failed(`archive/builds/p${index % 90}`, `build-${10_000 + index}`, cause));
  }
  site.causes = {
    ...ADVICES,
    [cause]: { kind: 'unreachable', advice: 'Look at the load balancer in front of the primary, then retry all.' },
  };
  return site;
}

/** Names as long as the specification lets them be, and texts that try to be markup. */
export function longNames(): MockSite {
  const site = oneFailing();
  const deep = `${'very-long-group-name-of-a-department/'.repeat(6)}and-a-project-whose-name-goes-on`;
  const evil = '<img src=x onerror=alert(1)> javascript:alert(2) \u202egnp.exe';
  site.rows.push(
    failed(deep, `feature-${'x'.repeat(100)}`, `${evil} ${'reason '.repeat(30)}`),
    row(deep, digestOf('untagged')),
    row(deep, 'y'.repeat(128)),
  );
  site.pulls[0] = {
    ...site.pulls[0]!,
    kind: 'manifest',
    repository: deep,
    reference: 'z'.repeat(128),
    user: 'u'.repeat(90),
    client: evil,
    cause: evil,
  };
  site.status = { ...site.status, site: 'eu-central-1-secondary-production-registry' };
  return site;
}

export const SCENARIOS = { healthy, oneFailing, disaster, firstStart, manyFailing, longNames };
