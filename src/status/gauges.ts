// What a snapshot tells, as Prometheus reads it.
import { Gauge, Registry as Prometheus } from 'prom-client';
import type { Run, Runs, Snapshot, VerifyRun } from './snapshot.ts';

/** One gauge: a number, or numbers by the values of its label. */
interface Reading {
  readonly help: string;
  readonly label?: string;
  readonly values: number | Readonly<Record<string, number>>;
}

function seconds(time: string): number {
  return Date.parse(time) / 1000;
}

/** What one value of each run that is known reads. */
function byKind<T>(runs: Readonly<Record<string, T | null>>) {
  const known = Object.entries(runs).filter((entry): entry is [string, T] => entry[1] !== null);
  return (help: string, value: (run: T) => number | undefined): Reading => {
    const values = known.flatMap(([kind, run]) => {
      const read = value(run);
      return read === undefined ? [] : [[kind, read] as const];
    });
    return { help, label: 'kind', values: Object.fromEntries(values) };
  };
}

function runReadings(runs: Runs): Record<string, Reading> {
  const { verify, ...walks } = runs;
  const ofAny = byKind<Run | VerifyRun>(runs);
  const ofWalk = byKind<Run>(walks);
  const ofVerify = byKind<VerifyRun>({ verify });
  return {
    replication_run_running: ofAny('Whether this run goes on', (run) => (run.endedAt === null ? 1 : 0)),
    replication_run_failed: ofAny('Whether the last run ended early', (run) => (run.error === null ? 0 : 1)),
    replication_run_start_timestamp_seconds: ofAny('When the last run began', (run) => seconds(run.startedAt)),
    replication_run_end_timestamp_seconds: ofAny('When the last run ended', (run) =>
      run.endedAt === null ? undefined : seconds(run.endedAt),
    ),
    replication_run_repositories: ofAny('Repositories that the run has come to', (run) => run.repositories),
    replication_run_marked: ofAny('Tags that the run has queued', (run) => run.marked),
    replication_run_repositories_done: ofWalk('Repositories that the run is done with', (run) => run.repositoriesDone),
    replication_run_repositories_failed: ofWalk('Those that could not be read', (run) => run.repositoriesFailed),
    replication_run_tags: ofWalk('Tags that the run has looked at', (run) => run.tags),
    replication_run_rows: ofVerify('Tags and manifests that the verification has looked at', (run) => run.rows),
    replication_run_verified: ofVerify('Those of them all of which is right', (run) => run.verified),
    replication_run_unknown: ofVerify('Those of which not enough could be learnt', (run) => run.unknown),
    replication_run_blobs: ofVerify('Blobs that the verification has looked at', (run) => run.blobs),
    replication_run_bytes: ofVerify('Bytes that the verification has read', (run) => run.bytes),
    replication_run_damaged: ofVerify('Blobs and manifests that it found wrong or missing', (run) => run.damaged),
  };
}

function readings({ version, replication, damaged }: Snapshot): Record<string, Reading> {
  const { tags, queue, waiting, lagMs, bytes, verified, removals, worker, runs, malformedEvents } = replication;
  return {
    build_info: { help: 'The version of the program', label: 'version', values: { [version]: 1 } },
    replication_tags: { help: 'Tags and untagged manifests by state', label: 'state', values: tags },
    replication_queue: { help: 'Queued ones by what queued them', label: 'priority', values: { ...queue } },
    replication_waiting: { help: 'Queued ones that wait for another tag or manifest', values: waiting },
    replication_lag_seconds: { help: 'Age of the oldest event that is not worked off', values: lagMs / 1000 },
    replication_bytes: { help: 'Body bytes that were copied from the primary, of what is known', values: bytes },
    replication_verified: { help: 'Tags and manifests whose blobs were read and hashed', values: verified },
    replication_removals_held: { help: 'Removals that wait for a person', values: removals.held },
    replication_removals_last_day: { help: 'Removals of the last 24 hours', values: removals.lastDay },
    replication_removals_limit: { help: 'Removals in 24 hours that need no person', values: removals.limit },
    replication_removals_suspended: { help: 'Whether all removals wait', values: removals.suspended ? 1 : 0 },
    replication_malformed_events: { help: 'Events kept that were not understood', values: malformedEvents },
    replication_worker_running: { help: 'Tags and manifests that are being synced', values: worker.running },
    replication_paused: {
      help: 'Whether replication waits for a registry',
      values: worker.pausedUntil === null ? 0 : 1,
    },
    replication_damaged_blobs: { help: 'Blobs of the secondary that were found damaged', values: damaged },
    ...runReadings(runs),
  };
}

/**
 * GitLab's names for what its Geo counts, where ours means the same. Not where another system replicates: there the
 * rows are only what clients pulled, and these numbers are that system's to tell.
 */
function geoReadings({ replication }: Snapshot): Record<string, Reading> {
  if (!replication.on) return {};
  const { known, synced, failed, verified, damaged, verifiable } = replication.repositories;
  return {
    geo_container_repositories: {
      help: 'Repositories of the primary that replication knows of by their tags and manifests',
      values: known,
    },
    geo_container_repositories_registry: {
      help: 'Repositories of which a state is kept: the same as geo_container_repositories',
      values: known,
    },
    geo_container_repositories_synced: {
      help: 'Repositories of which every known tag and untagged manifest is synced',
      values: synced,
    },
    geo_container_repositories_failed: {
      help: 'Repositories of which at least one tag or untagged manifest failed and is tried again',
      values: failed,
    },
    geo_container_repositories_checksum_total: {
      help: "Repositories to compute the checksum of: the synced ones, since no other could equal the primary's",
      values: synced,
    },
    geo_container_repositories_checksummed: {
      help: 'Repositories whose checksum is known: the synced ones',
      values: synced,
    },
    geo_container_repositories_checksum_failed: {
      help: 'Always 0: the checksum is computed of what is known, and that does not fail',
      values: 0,
    },
    geo_container_repositories_verification_total: {
      help: 'Repositories to verify: those that are synced, or have a damaged blob',
      values: verifiable,
    },
    geo_container_repositories_verified: {
      help: 'Synced repositories of which all blobs were read and hashed, and none is damaged',
      values: verified,
    },
    geo_container_repositories_verification_failed: {
      help: 'Repositories that have a blob that was found damaged and is not whole again',
      values: damaged,
    },
  };
}

/** The exposition of a snapshot, our own names begun by `prefix`. */
export async function exposeSnapshot(snapshot: Snapshot, prefix: string): Promise<string> {
  const registry = new Prometheus();
  registry.setDefaultLabels({ site: snapshot.site });
  const ours = Object.entries(readings(snapshot)).map(([name, reading]) => [prefix + name, reading] as const);
  for (const [name, { help, label, values }] of [...ours, ...Object.entries(geoReadings(snapshot))]) {
    const gauge = new Gauge({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [registry],
    });
    if (typeof values === 'number') gauge.set(values);
    else for (const [value, number] of Object.entries(values)) gauge.set({ [label!]: value }, number);
  }
  return registry.metrics();
}
