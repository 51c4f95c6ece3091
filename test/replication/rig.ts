// Replication between two real registries, without the pull API: its rows, its log, and a clock that tests can put ahead.
import { join } from 'node:path';
import { request } from 'undici';
import { parseDigest, type Digest } from '../../src/oci/digest.ts';
import { startReplication, type Replication, type ReplicationOptions } from '../../src/replication/replication.ts';
import type { Mark } from '../../src/replication/row-queue.ts';
import { PRIORITY, type Row, type RowState } from '../../src/replication/row.ts';
import type { RowStore } from '../../src/replication/rows.ts';
import { createSqliteStore } from '../../src/replication/store/sqlite.ts';
import { createRig, type Rig, type RigSites } from '../fill/rig.ts';
import { blob } from '../support/content.ts';
import { manifest, mediaTypes } from '../support/image.ts';
import { deleteManifest, pushImage, type Target } from '../support/push.ts';
import { tempDir, waitFor } from '../support/tool.ts';
import { scaled } from '../support/patience.ts';

export { startRigSites, type RigSites } from '../fill/rig.ts';

/** Milliseconds since the epoch. */
export interface Clock {
  now(): number;
  advance(by: number): void;
}

export interface ReplicatingOptions extends Partial<Omit<ReplicationOptions, 'worker' | 'outages'>> {
  /** Repositories that are replicated, by what their names begin with. */
  readonly only: string;
  /** The state of an earlier one. */
  readonly dataDir?: string;
  readonly listed?: readonly string[];
  /** Whether nothing is known of the primary; else it is the one of an earlier start, as in most of a site's life. */
  readonly isFirstStart?: boolean;
  /** Whether to wait until the walk at the start has ended; so it does unless told. */
  readonly waits?: boolean;
  readonly clock?: Clock;
}

export interface Replicating extends AsyncDisposable {
  readonly rig: Rig;
  readonly rows: RowStore;
  readonly replication: Replication;
  readonly clock: Clock;
  /** Digests that are never to be served. */
  readonly hidden: ReadonlySet<Digest>;
  /** Digests whose local copies are not to be served now. */
  readonly damaged: ReadonlySet<Digest>;
  /** Marks as an event does. */
  mark(repository: string, ...references: readonly string[]): Promise<void>;
  /** Marks as the event of a push does. */
  pushed(repository: string, ...references: readonly string[]): Promise<void>;
  row(repository: string, reference: string): Promise<Row | undefined>;
  /** Waits until a row has this state, is gone, is held, or waits for another one. */
  until(repository: string, reference: string, state: RowState | 'gone' | 'held' | 'waiting'): Promise<Row | undefined>;
  /** Waits until no row waits for a worker. */
  untilIdle(): Promise<void>;
}

/** A clock that goes on by itself, and further when told. */
export function createClock(): Clock {
  let ahead = 0;
  return { now: () => Date.now() + ahead, advance: (by) => void (ahead += by) };
}

/** A clock that goes on only when told. */
export function createStoppedClock(): Clock {
  let now = Date.now();
  return { now: () => now, advance: (by) => void (now += by) };
}

async function untilWalked({ walks }: Replication): Promise<void> {
  await waitFor(() => walks.progress.length > 0 && walks.progress.every(({ endedAt }) => endedAt !== undefined), {
    what: 'the walk at the start',
  });
}

/** Starts replication between the sites. */
export async function startReplicating(sites: RigSites, options: ReplicatingOptions): Promise<Replicating> {
  const { only, listed, dataDir, isFirstStart = false, waits = true, clock = createClock(), ...rest } = options;
  const primaryUrl = 'https://primary.example.com/';
  const data = await tempDir();
  const isStored = (name: string): boolean => name.startsWith(only);
  const rig = await createRig(sites, { isStored, filler: { linger: 100 }, store: { pauses: [0] } });
  const log = {
    debug: (facts: object, message = '') => void rig.log.push({ level: 'debug', facts: { ...facts }, message }),
    info: (facts: object, message = '') => void rig.log.push({ level: 'info', facts: { ...facts }, message }),
    warn: (facts: object, message = '') => void rig.log.push({ level: 'warn', facts: { ...facts }, message }),
    error: (facts: object, message = '') => void rig.log.push({ level: 'error', facts: { ...facts }, message }),
  };
  const rows = await createSqliteStore({ file: join(dataDir ?? data.path, 'state.db'), log });
  if (!isFirstStart && (await rows.getFact('primary.url')) === undefined) await rows.setFact('primary.url', primaryUrl);
  const hidden = new Set<Digest>();
  const damaged = new Set<Digest>();
  const { primary, secondary, filler, store } = rig;
  const site = { primary, secondary, rows, log, meter: () => undefined, clock: clock.now, isReplicated: isStored };
  const replication = await startReplication(
    site,
    {
      filler,
      store,
      known: () => undefined,
      listedRepositories: async () => listed,
      onDummy: (digest) => void hidden.add(digest),
      onRemoved: () => undefined,
      onDamaged: (_name, digest) => void damaged.add(digest),
      onHealed: (digest) => void damaged.delete(digest),
    },
    {
      isOn: true,
      primaryUrl,
      concurrency: 4,
      reconcileInterval: 3_600_000,
      verifyInterval: 24 * 3_600_000,
      removalShare: 0.2,
      worker: { nap: 50, lease: scaled(3_000) },
      outages: { outagePause: 200, readOnlyPause: 200 },
      ...rest,
    },
  );
  if (waits && rest.isOn !== false) await untilWalked(replication);
  const find = (repository: string, reference: string): Promise<Row | undefined> => rows.find(repository, reference);

  async function markAs(more: Partial<Mark>, repository: string, references: readonly string[]): Promise<void> {
    const eventAt = clock.now();
    const marks = references.map((reference) => ({
      repository,
      reference,
      priority: PRIORITY.event,
      eventAt,
      ...more,
    }));
    await rows.mark(marks, eventAt);
    replication.nudge();
  }

  async function isIdle(): Promise<boolean> {
    const { states, held, waiting } = await rows.counts(clock.now());
    return replication.worker.running === 0 && states.syncing === 0 && states.pending === held + waiting;
  }

  return {
    rig,
    rows,
    replication,
    clock,
    hidden,
    damaged,
    mark: (repository, ...references) => markAs({}, repository, references),
    pushed: (repository, ...references) => markAs({ isPush: true }, repository, references),
    row: find,
    async until(repository, reference, state) {
      const reached = async (): Promise<boolean> => {
        const row = await find(repository, reference);
        if (state === 'gone') return row === undefined;
        if (state === 'held') return row?.state === 'pending' && row.isHeld && !row.isConfirmed;
        if (state === 'waiting') return row?.state === 'pending' && row.waitsFor !== undefined;
        return row?.state === state;
      };
      await waitFor(reached, { what: `${repository}:${reference} to be ${state}` });
      return find(repository, reference);
    },
    untilIdle: async () => {
      await waitFor(isIdle, { what: 'all rows to be worked on', timeout: 20_000 });
    },
    async [Symbol.asyncDispose]() {
      await replication.close(scaled(1_000));
      await rows.close();
      await rig[Symbol.asyncDispose]();
      await data.remove();
    },
  };
}

const accept = Object.values(mediaTypes).join(', ');

function headersOf({ token }: Target): Record<string, string> {
  return { accept, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
}

/** The digest that a registry itself has for a reference. */
export async function digestAt(target: Target, reference: string): Promise<string | undefined> {
  const url = `${target.url}/v2/${target.repository}/manifests/${reference}`;
  const { statusCode, headers, body } = await request(url, { method: 'HEAD', headers: headersOf(target) });
  await body.dump();
  return statusCode === 200 ? parseDigest(headers['docker-content-digest']) : undefined;
}

/** The tags that a registry itself lists. */
export async function tagsAt(target: Target): Promise<string[]> {
  const { body } = await request(`${target.url}/v2/${target.repository}/tags/list`, { headers: headersOf(target) });
  return (((await body.json()) as { tags?: string[] | null }).tags ?? []).toSorted();
}

/** Deletes a blob's link from a registry's repository, so that the registry says that it is unknown. */
export async function deleteBlob(target: Target, digest: string): Promise<void> {
  const url = `${target.url}/v2/${target.repository}/blobs/${digest}`;
  const { statusCode, body } = await request(url, { method: 'DELETE', headers: headersOf(target) });
  await body.dump();
  if (statusCode !== 202) throw new Error(`DELETE of ${digest}: ${statusCode}`);
}

/** Removes one tag without its siblings: what stands on it becomes a manifest of its own, which is deleted. */
export async function deleteTag(target: Target, tag: string): Promise<void> {
  const more = { annotations: { test: `${tag} ${Math.random()}` } };
  const own = manifest({ config: blob('{}'), layers: [], more });
  await pushImage(target, tag, own);
  await deleteManifest(target, own.digest);
}
