// Who blocks whom: another client's pulls beside what one client, or the primary, sends to do harm.
import { setTimeout as sleep } from 'node:timers/promises';
import { largeBlob, type Blob } from '../../test/support/content.ts';
import { image } from '../../test/support/image.ts';
import { pushBlob, pushImage } from '../../test/support/push.ts';
import { startSites, type Sites } from '../../test/support/sites.ts';
import { tempDir } from '../../test/support/tool.ts';
import type { Bench, Topic } from './bench.ts';
import { environment, pullHeaders } from './environment.ts';
import { median, type Figure } from './figure.ts';
import { EVENTS_TOKEN, floods, jobOf, type Flood } from './floods.ts';
import { startHostilePrimary } from './hostile-primary.ts';
import { startLink } from './link.ts';
import { startLoad } from './load.ts';
import { delayOf, watchLoop, type Delay } from './loop.ts';
import { startProxyProcess, type ProxyProcess } from './proxy-process.ts';
import type { WireRequest } from './wire.ts';

const MIB = 1024 * 1024;
const SIZE = MIB / 4;
const COLD = 'bench/cold';
const WARM = 'bench/warm';
// How long an answer is waited for (ms): what takes longer counts as refused, and as so long.
const TIMEOUT = 8_000;
// Below this (ms) a median is too small to be compared: it is taken for so much.
const LEAST = 5;
// How long (ms) a flood has to take what it can take, before anybody else comes.
const GRIP = 2_000;
// Seconds.
const HOURS = 7_200;
const KINDS = ['cold blob', 'warm blob', 'manifest', 'list'] as const;

type Kind = (typeof KINDS)[number];

/** What another client saw, in milliseconds; of a cold blob the time to its first byte. */
interface Seen {
  readonly times: Record<Kind, number[]>;
  refused: number;
}

interface Measured {
  readonly alone: Seen;
  readonly beside: Seen;
  readonly delay: Delay;
  readonly peak: number;
  /** Requests that came to the primary in the two seconds after the flood had gone. */
  readonly after: number;
}

/** Pulls one of each kind, `rounds` times, one after the other. */
async function pullAll(
  { load }: Bench,
  sites: Sites,
  proxy: ProxyProcess,
  { cold, warm, rounds }: { readonly cold: readonly Blob[]; readonly warm: Blob; readonly rounds: number },
): Promise<Seen> {
  const seen: Seen = { times: { 'cold blob': [], 'warm blob': [], manifest: [], list: [] }, refused: 0 };
  const get = (repository: string, path: string): WireRequest => {
    return { method: 'GET', path: `/v2/${repository}/${path}`, headers: pullHeaders(sites, repository) };
  };
  for (let round = 0; round < rounds; round += 1) {
    const requests: Record<Kind, WireRequest> = {
      'cold blob': get(COLD, `blobs/${cold[round]!.digest}`),
      'warm blob': get(WARM, `blobs/${warm.digest}`),
      manifest: get(WARM, 'manifests/v1'),
      list: get(WARM, 'tags/list'),
    };
    for (const kind of KINDS) {
      const job = {
        kind: 'download',
        port: proxy.port,
        requests: [requests[kind]],
        atOnce: 1,
        timeout: TIMEOUT,
      } as const;
      const { p50, firstByte, refused } = await load.run(job);
      // A refusal that comes at once is no better than one that is waited for.
      seen.times[kind].push(refused > 0 ? TIMEOUT : kind === 'cold blob' ? firstByte : p50);
      seen.refused += refused;
    }
  }
  return seen;
}

async function coldBlobs(sites: Sites, count: number, seed: string): Promise<Blob[]> {
  const blobs: Blob[] = [];
  for (let nth = 0; nth < count; nth += 1) {
    const blob = await largeBlob(SIZE, `${seed} ${nth}`);
    await pushBlob(sites.primaryTarget(COLD), blob);
    blobs.push(blob);
  }
  return blobs;
}

/** One flood, with sites and a proxy of its own: what it leaves behind meets nobody else. */
async function measureFlood(bench: Bench, flood: Flood): Promise<Measured> {
  const { bin, isQuick } = bench;
  const rounds = isQuick ? 2 : 8;
  await using scratch = await tempDir();
  const sites = await startSites();
  const primary = await startHostilePrimary({ target: sites.primary.port });
  const link = await startLink({ target: primary.port, roundTrip: flood.roundTrip ?? 0 });
  const flooder = startLoad();
  let isGone = false;
  let proxy: ProxyProcess | undefined;
  try {
    const warmImage = image('warm');
    const warm = await largeBlob(MIB, 'warm');
    for (const target of [sites.primaryTarget(WARM), sites.secondaryTarget(WARM)]) {
      await pushImage(target, 'v1', warmImage);
      await pushBlob(target, warm);
    }
    const cold = await coldBlobs(sites, 2 * rounds + 1, flood.name);
    const more = {
      ...(await watchLoop(scratch.path)),
      GEO_PRIMARY_URL: link.url,
      GEO_EVENTS_TOKEN: EVENTS_TOKEN,
      GEO_REPLICATION_INCLUDE: 'bench/**',
      GEO_SHUTDOWN_TIMEOUT: '0',
    };
    proxy = await startProxyProcess(bin, environment(sites, more));
    // The first round opens the connections.
    await pullAll(bench, sites, proxy, { cold: cold.slice(-1), warm, rounds: 1 });
    const alone = await pullAll(bench, sites, proxy, { cold, warm, rounds });
    await delayOf(proxy, scratch.path);
    proxy.resetPeakMemory();
    const port = flood.isToAdmin ? proxy.adminPort : proxy.port;
    // It ends with its process: whatever it waits for, it leaves at once.
    void flooder.run(jobOf(flood, sites, port, HOURS));
    await sleep(GRIP);
    const beside = await pullAll(bench, sites, proxy, { cold: cold.slice(rounds), warm, rounds });
    flooder.stop();
    isGone = true;
    const peak = proxy.peakMemory();
    const delay = await delayOf(proxy, scratch.path);
    await primary.requests();
    await sleep(2_000);
    return { alone, beside, delay, peak, after: await primary.requests() };
  } finally {
    if (!isGone) flooder.stop();
    await proxy?.stop();
    link.stop();
    primary.stop();
    await sites.close();
  }
}

function figuresOf({ alone, beside, delay, peak, after }: Measured, { name }: Flood): Figure[] {
  const runs = alone.times.list.length;
  const compared = KINDS.flatMap((kind): Figure[] => {
    const [before, now] = [median(alone.times[kind]), median(beside.times[kind])];
    const value = Math.max(now, LEAST) / Math.max(before, LEAST);
    return [
      { name: `${kind} beside ${name}`, value: now, unit: 'ms', runs },
      { name: `${kind} beside ${name}, against alone`, value, unit: 'x', limit: { atMost: 2 }, runs, note: NOTE },
    ];
  });
  return [
    ...compared,
    { name: `refused beside ${name}`, value: beside.refused, unit: 'answers', limit: { atMost: 0 }, runs: 1 },
    { name: `event loop delay, p99, ${name}`, value: delay.p99, unit: 'ms', limit: { atMost: 50 }, runs: 1 },
    { name: `event loop delay, most, ${name}`, value: delay.most, unit: 'ms', runs: 1 },
    { name: `peak memory, ${name}`, value: peak / MIB, unit: 'MiB', limit: { atMost: 250 }, runs: 1 },
    { name: `asked of the primary in 2 s after ${name}`, value: after, unit: 'requests', runs: 1 },
  ];
}

const NOTE = `cold blob: time to the first byte; what is not answered with 200 in ${TIMEOUT / 1_000} s counts as so long; medians below ${LEAST} ms count as ${LEAST} ms`;

/** Another client beside each flood, against the same without it. */
export const hostile: Topic = {
  name: 'hostile',
  about: "another client's pulls beside clients, notifications and a primary that mean harm, against the same alone",
  async measure(bench) {
    const figures: Figure[] = [];
    for (const flood of floods) {
      process.stderr.write(`  beside ${flood.name} …\n`);
      figures.push(...figuresOf(await measureFlood(bench, flood), flood));
    }
    return figures;
  },
};
