// Data of a site as it could be: the same each time, but for the times, which are those of now.
import { createHash } from 'node:crypto';
import type {
  ListedTag,
  Pull,
  PullOrigin,
  PullTotals,
  RowState,
  Traffic,
  TrafficPoint,
  Transfer,
} from '../../../web/contract.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** The digest of a text. */
export function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** A number from 0 to 1 that a text decides. */
export function chance(text: string): number {
  return Number.parseInt(digestOf(text).slice(7, 15), 16) / 0xffff_ffff;
}

/** The ISO time so many ms ago. */
export function ago(ms: number): string {
  return new Date(Date.now() - ms).toISOString();
}

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'platform/base': ['debian', 'alpine', 'node', 'python', 'jdk'],
  'platform/ci': ['runner-helper', 'kaniko', 'lint', 'release-cli'],
  'shop/backend': ['api', 'worker', 'billing', 'search', 'migrations'],
  'shop/frontend': ['web', 'storefront', 'assets'],
  'data/ml': ['train-gpu', 'serve', 'notebooks'],
  'data/etl': ['airflow', 'spark', 'exporter'],
  ops: ['proxy', 'grafana', 'backup', 'dns'],
  'mobile/android': ['build', 'emulator'],
};

export const REPOSITORIES: readonly string[] = Object.entries(GROUPS).flatMap(([group, names]) =>
  names.map((name) => `${group}/${name}`),
);

let rowId = 0;

/** A synced row, with what is given in the place of its own. */
export function row(repository: string, reference: string, given: Partial<ListedTag> = {}): ListedTag {
  rowId += 1;
  const name = `${repository}:${reference}`;
  const digest = digestOf(name);
  return {
    id: rowId,
    repository,
    reference,
    state: 'synced',
    attempts: 0,
    nextAttemptAt: null,
    error: null,
    primaryDigest: digest,
    localDigest: digest,
    markedAt: ago(40 * 86_400_000 * chance(`m${name}`)),
    syncedAt: ago(12 * 86_400_000 * chance(`s${name}`) ** 3),
    verifiedAt: ago(20 * 86_400_000 * chance(`v${name}`)),
    held: false,
    confirmed: false,
    lastPulledAt: chance(`p${name}`) < 0.3 ? null : ago(9 * 86_400_000 * chance(`l${name}`) ** 4),
    size: Math.round((12 + 900 * chance(`z${name}`) ** 3) * MIB),
    platforms: chance(`a${name}`) < 0.6 ? ['linux/amd64', 'linux/arm64'] : ['linux/amd64'],
    ...given,
  };
}

/** A row that failed. */
export function failed(
  repository: string,
  reference: string,
  error: string,
  given: Partial<ListedTag> = {},
): ListedTag {
  return row(repository, reference, {
    state: 'failed',
    error,
    attempts: 4,
    nextAttemptAt: new Date(Date.now() + 380_000).toISOString(),
    localDigest: null,
    syncedAt: null,
    verifiedAt: null,
    lastPulledAt: null,
    ...given,
  });
}

/** The synced rows of a site: versions and branches of all its repositories. */
export function syncedRows(): ListedTag[] {
  return REPOSITORIES.flatMap((repository) => {
    const versions = 8 + Math.floor(70 * chance(repository) ** 2);
    const tags = Array.from({ length: versions }, (_, index) => `${1 + Math.floor(index / 12)}.${index % 12}.0`);
    return ['latest', 'main', ...tags].map((tag) => row(repository, tag));
  });
}

/** Rows by state. */
export function countStates(rows: readonly ListedTag[]): Record<RowState, number> {
  const counts = { pending: 0, syncing: 0, synced: 0, recheck: 0, failed: 0, unsupported: 0 };
  for (const { state } of rows) counts[state] += 1;
  return counts;
}

function pointAt(time: number, stepMs: number, load: number): TrafficPoint {
  const minutes = stepMs / 60_000;
  const hour = new Date(time).getHours() + new Date(time).getMinutes() / 60;
  const day = 0.35 + 0.65 * Math.exp(-(((hour - 13) / 5) ** 2));
  const wave = chance(`w${Math.floor(time / stepMs)}`);
  const burst = chance(`b${Math.floor(time / stepMs)}`) > 0.93 ? 2.1 : 1;
  const all = load * minutes * day * (0.55 + 0.6 * wave) * burst;
  const requests = {
    memory: Math.round(all * 0.46),
    local: Math.round(all * 0.42),
    primary: Math.round(all * 0.1 * (0.4 + burst * wave)),
    stale: 0,
    error: load > 0 && chance(`e${time}`) > 0.96 ? 1 : 0,
  };
  const bytes = {
    memory: requests.memory * 4_800,
    local: requests.local * 3.1 * MIB,
    primary: requests.primary * 2.6 * MIB,
    stale: 0,
  };
  return {
    at: new Date(time).toISOString(),
    requests,
    bytes,
    wanBytes: bytes.primary * 0.92,
    ttfbP50Ms: 2 + 3 * wave,
    ttfbP99Ms: 80 + 120 * wave,
  };
}

/** The rings of the last hour and day; `load` is requests a minute at noon. */
export function traffic(window: Traffic['window'], load = 420): Traffic {
  const stepMs = window === 'hour' ? 60_000 : 900_000;
  const count = window === 'hour' ? 60 : 96;
  const last = Math.floor(Date.now() / stepMs) * stepMs;
  const times = Array.from({ length: count }, (_, index) => last - (count - 1 - index) * stepMs);
  return { window, stepMs, points: times.map((time) => pointAt(time, stepMs, load)) };
}

const SAVED = 41.7 * GIB;

/** Totals of a day; `share` of a usual one. */
export function totals(share = 1): PullTotals {
  const of = (requests: number, gib: number) => ({
    requests: Math.round(requests * share),
    bytes: Math.round(gib * GIB * share),
  });
  return {
    requests: Math.round(38_214 * share),
    bytes: Math.round(47.9 * GIB * share),
    byOrigin: { memory: of(17_904, 0.1), local: of(16_120, 41.4), primary: of(4_171, 6.4), stale: of(0, 0) },
    errors: Math.round(19 * share),
    wanBytes: Math.round(6.2 * GIB * share),
    wanSavedBytes: Math.round(SAVED * share),
    hitRatioRequests: share === 0 ? null : 0.89,
    hitRatioBytes: share === 0 ? null : 0.87,
    ttfbP50Ms: share === 0 ? null : 3,
    ttfbP99Ms: share === 0 ? null : 148,
  };
}

const CLIENTS = ['docker/28.2', 'containerd/1.7', 'podman/5.1', 'kaniko/1.23', 'docker/27.5'];
const USERS = ['ci-deploy', 'anna.meier', 'k8s-prod', 'k8s-staging', 'jonas'];

function pick<T>(list: readonly T[], text: string): T {
  return list[Math.floor(chance(text) * list.length * 0.999)]!;
}

/** One pull; the higher its id, the later it was. */
export function pull(id: number, age: number): Pull {
  const seed = `pull${id}`;
  const repository = pick(REPOSITORIES, seed);
  const isManifest = chance(`k${seed}`) < 0.5;
  const luck = chance(`o${seed}`);
  const origin: PullOrigin = luck < 0.12 ? 'primary' : isManifest ? 'memory' : 'local';
  const bytes = isManifest ? 1_800 : Math.round((1 + 120 * chance(`y${seed}`) ** 3) * MIB);
  const reference = isManifest ? pick(['latest', 'main', '1.4.0', '2.1.0'], `t${seed}`) : null;
  const isMissing = id % 41 === 7;
  const ms = Math.round((origin === 'primary' ? 90 : 2) + bytes / (origin === 'primary' ? 40_000 : 400_000));
  return {
    id,
    at: ago(age),
    method: isManifest && chance(`h${seed}`) < 0.4 ? 'HEAD' : 'GET',
    kind: isManifest || isMissing ? 'manifest' : 'blob',
    repository,
    reference: isMissing ? '9.9.9' : reference,
    digest: digestOf(seed),
    origin: isMissing ? null : origin,
    status: isMissing ? 404 : 200,
    bytes: isMissing ? 162 : bytes,
    ms,
    ttfbMs: Math.round(ms / 4),
    user: pick(USERS, `u${seed}`),
    client: pick(CLIENTS, `c${seed}`),
    address: `10.20.${Math.floor(chance(`x${seed}`) * 9)}.${Math.floor(chance(`y${seed}`) * 250)}`,
    cause: isMissing ? `no such tag "9.9.9" in ${repository} at primary.example.com` : null,
  };
}

/** The last pulls, the newest first. */
export function pulls(count: number): Pull[] {
  return Array.from({ length: count }, (_, index) => pull(count - index, 900 + index * 2_300 + index ** 2 * 40));
}

/** Blobs on their way. */
export function transfers(): Transfer[] {
  return [
    {
      digest: digestOf('cuda'),
      repositories: ['data/ml/train-gpu'],
      bytes: 1.71 * GIB,
      size: 2.64 * GIB,
      bytesPerSecond: 88 * MIB,
      connections: 4,
      readers: 3,
      priority: 'on-demand',
      startedAt: ago(21_000),
      state: 'flying',
    },
    {
      digest: digestOf('jdk'),
      repositories: ['platform/base/jdk', 'shop/backend/api'],
      bytes: 12 * MIB,
      size: 186 * MIB,
      bytesPerSecond: 9.4 * MIB,
      connections: 1,
      readers: 1,
      priority: 'background',
      startedAt: ago(1_300),
      state: 'flying',
    },
  ];
}
