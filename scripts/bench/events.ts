// The webhook under load: events that are answered once they are on disk, while somebody pulls at full speed.
import { largeBlob } from '../../test/support/content.ts';
import { pushBlob } from '../../test/support/push.ts';
import { startSites } from '../../test/support/sites.ts';
import { tempDir } from '../../test/support/tool.ts';
import type { Bench, Topic } from './bench.ts';
import { environment, pullHeaders } from './environment.ts';
import { median, type Figure } from './figure.ts';
import type { DownloadJob, Outcome, PaceJob } from './jobs.ts';
import { startLoad } from './load.ts';
import { plainScript } from './plain-script.ts';
import { startProxyProcess } from './proxy-process.ts';

const PER_SECOND = 2_000;
const CONNECTIONS = 256;
const MIB = 1024 * 1024;
const REPOSITORY = 'bench/events';
const TOKEN = 'secret-of-the-benchmark';
const SLOW = 20;
const slowCommits = new URL('../../test/replication/store/slow-commits.ts', import.meta.url);

// A tag of its own each, in a hundred repositories, as the pushes of many pipelines are.
const event = { id: '#', action: 'push', target: { repository: `${REPOSITORY}/project-@`, tag: 'v1.#' } };

function eventsOf(port: number, seconds: number): PaceJob {
  const headers = { authorization: TOKEN, 'content-type': 'application/vnd.docker.distribution.events.v1+json' };
  const path = '/api/v4/container_registry_event/events';
  const request = { method: 'POST', path, headers, body: JSON.stringify({ events: [event] }) } as const;
  return { kind: 'pace', port, request, perSecond: PER_SECOND, connections: CONNECTIONS, seconds };
}

interface Measured {
  readonly events: Outcome[];
  readonly pulls: Outcome[];
  /** Peaks of the process's memory, in MiB. */
  readonly peaks: number[];
}

/** Events while a client takes a blob again and again; each run on a process and a database of their own. */
async function measureWith(bench: Bench, delay: number): Promise<Measured> {
  const { bin, load, runs, seconds, isQuick } = bench;
  const sites = await startSites();
  const puller = startLoad();
  const measured: Measured = { events: [], pulls: [], peaks: [] };
  try {
    const blob = await largeBlob((isQuick ? 16 : 256) * MIB, 'events');
    for (const target of [sites.primaryTarget(REPOSITORY), sites.secondaryTarget(REPOSITORY)]) {
      await pushBlob(target, blob);
    }
    const headers = pullHeaders(sites, REPOSITORY);
    const path = `/v2/${REPOSITORY}/blobs/${blob.digest}`;
    for (let run = 0; run < runs; run += 1) {
      await using data = await tempDir();
      const slow = {
        NODE_OPTIONS: `--import=${await plainScript(slowCommits, data.path)}`,
        COMMIT_DELAY: String(delay),
      };
      const common = { GEO_EVENTS_TOKEN: TOKEN, GEO_DATA_DIR: data.path };
      const env = environment(sites, delay > 0 ? { ...common, ...slow } : common);
      const proxy = await startProxyProcess(bin, env);
      const pull: DownloadJob = {
        kind: 'download',
        port: proxy.port,
        requests: [{ method: 'GET', path, headers }],
        atOnce: 1,
        seconds: seconds + 1,
      };
      // What is not warm yet is no sustained load.
      await load.run(eventsOf(proxy.port, seconds));
      const [events, pulls] = await Promise.all([load.run(eventsOf(proxy.port, seconds + 1)), puller.runAll(pull)]);
      measured.events.push(events);
      measured.pulls.push(pulls);
      measured.peaks.push(proxy.peakMemory() / MIB);
      await proxy.stop();
    }
  } finally {
    puller.stop();
    await sites.close();
  }
  return measured;
}

function figuresOf({ events, pulls, peaks }: Measured, name: string, note?: string): Figure[] {
  const runs = events.length;
  const more = note === undefined ? {} : { note };
  const lost = Math.max(...events.map(({ refused }) => refused));
  const speed = median(pulls.map(({ bytes, seconds }) => bytes / MIB / seconds));
  return [
    {
      name: `event to answer, p99, ${name}`,
      value: median(events.map(({ p99 }) => p99)),
      limit: { atMost: 100 },
      unit: 'ms',
      runs,
      ...more,
    },
    { name: `event to answer, median, ${name}`, value: median(events.map(({ p50 }) => p50)), unit: 'ms', runs },
    { name: `events not accepted, worst run, ${name}`, value: lost, limit: { atMost: 0 }, unit: 'events', runs },
    { name: `the pull meanwhile, ${name}`, value: speed, unit: 'MiB/s', runs },
    { name: `peak memory, ${name}`, value: median(peaks), limit: { atMost: 200 }, unit: 'MiB', runs },
  ];
}

/** 2,000 events a second, commits as they are and commits of a slow disk. */
export const events: Topic = {
  name: 'events',
  about: `${PER_SECOND} events a second, answered once on disk, while a local blob is pulled at full speed`,
  async measure(bench) {
    const note = `each commit of the shipped process was held up ${SLOW} ms by a preloaded script`;
    return [
      ...figuresOf(await measureWith(bench, 0), 'this disk'),
      ...figuresOf(await measureWith(bench, SLOW), `commits ${SLOW} ms slower`, note),
    ];
  },
};
