// Local blobs: every way of delivering them, in one run.
import { largeBlob, type Blob } from '../../test/support/content.ts';
import { manifest } from '../../test/support/image.ts';
import { pushImage } from '../../test/support/push.ts';
import { startSites, type Sites } from '../../test/support/sites.ts';
import { inTurns, type Bench, type Topic } from './bench.ts';
import { accelerated, plainNginx, registryItself, streamed, type Absent, type Delivery } from './deliveries.ts';
import { pullHeaders } from './environment.ts';
import { median, ratio, type Figure } from './figure.ts';
import { bytesWrittenBy, cpuSecondsOf } from './process-figures.ts';
import type { WireRequest } from './wire.ts';

const MIB = 1024 * 1024;
const PARALLEL = 4;
const REPOSITORY = 'bench/blobs';

const WAYS = ['registry', 'nginx', 'stream', 'stream-root', 'accel-proxy', 'accel-file'] as const;
type Way = (typeof WAYS)[number];

const TITLES: Record<Way, string> = {
  registry: 'registry itself',
  nginx: 'nginx before the registry',
  stream: 'ours, stream',
  'stream-root': 'ours, stream with GEO_SECONDARY_ROOT',
  'accel-proxy': 'ours, accel-proxy',
  'accel-file': 'ours, accel-file',
};

/** What each is compared with, and the least that it has to reach. */
const LIMITS: readonly { readonly way: Way; readonly against: Way; readonly atLeast: number }[] = [
  { way: 'accel-file', against: 'registry', atLeast: 0.9 },
  { way: 'accel-proxy', against: 'nginx', atLeast: 0.9 },
  { way: 'stream-root', against: 'registry', atLeast: 0.5 },
  { way: 'stream', against: 'registry', atLeast: 0.22 },
];

async function startAll(bin: string, sites: Sites): Promise<Record<Way, Delivery | Absent>> {
  const root = sites.secondary.dir;
  return {
    registry: registryItself(sites),
    nginx: await plainNginx(sites),
    stream: await streamed(bin, sites, {}),
    'stream-root': await streamed(bin, sites, { GEO_SECONDARY_ROOT: root }),
    'accel-proxy': await accelerated(bin, sites, { GEO_BLOB_DELIVERY: 'accel-proxy' }),
    'accel-file': await accelerated(bin, sites, { GEO_BLOB_DELIVERY: 'accel-file', GEO_SECONDARY_ROOT: root }),
  };
}

interface Requests {
  readonly manifest: WireRequest;
  readonly blobs: readonly WireRequest[];
}

async function pushBlobs(
  sites: Sites,
  size: number,
): Promise<{ readonly layers: readonly Blob[]; requests: Requests }> {
  const layers = await Promise.all(Array.from({ length: PARALLEL }, (_, nth) => largeBlob(size, `blobs ${nth}`)));
  const image = manifest({ layers });
  for (const target of [sites.primaryTarget(REPOSITORY), sites.secondaryTarget(REPOSITORY)]) {
    await pushImage(target, 'v1', image);
  }
  const headers = pullHeaders(sites, REPOSITORY);
  const get = (path: string): WireRequest => ({ method: 'GET', path: `/v2/${REPOSITORY}/${path}`, headers });
  const blobs = layers.map(({ digest }) => get(`blobs/${digest}`));
  return { layers, requests: { manifest: get('manifests/v1'), blobs } };
}

/** As clients pull: the manifest first, then the blobs; checked once, and who moved the bytes with it. */
async function warmUp(
  { load }: Bench,
  delivery: Delivery,
  layers: readonly Blob[],
  { manifest: first, blobs }: Requests,
): Promise<string | undefined> {
  const { port, proxy, byNginx } = delivery;
  await load.runAll({ kind: 'download', port, requests: [first], atOnce: 1 });
  const before = proxy ? bytesWrittenBy(proxy.pid) : 0;
  for (const [nth, { digest }] of layers.entries()) {
    await load.runAll({ kind: 'download', port, requests: [blobs[nth]!], atOnce: 1, digest });
  }
  const moved = proxy ? bytesWrittenBy(proxy.pid) - before : 0;
  return byNginx && moved > layers[0]!.size ? 'the proxy moved the bytes, and not nginx' : undefined;
}

/** MiB a second of one contender in a turn; what its processes took for each GiB goes into `cpu`. */
async function turnOf(
  { load, seconds }: Bench,
  delivery: Delivery,
  { blobs }: Requests,
  cpu: number[],
): Promise<number> {
  const before = cpuSecondsOf(...delivery.pids);
  const job = { kind: 'download', port: delivery.port, requests: blobs, atOnce: PARALLEL, seconds } as const;
  const { bytes, seconds: took } = await load.runAll(job);
  cpu.push((cpuSecondsOf(...delivery.pids) - before) / (bytes / MIB / 1_024));
  return bytes / MIB / took;
}

type Speeds = Partial<Record<Way, readonly number[]>>;

function figuresOf(speeds: Speeds, cpu: Speeds, absent: Partial<Record<Way, string>>, runs: number): Figure[] {
  const why = (...ways: readonly Way[]): { note?: string } => {
    const way = ways.find((each) => absent[each] !== undefined);
    return way === undefined ? {} : { note: `${TITLES[way]}: ${absent[way]}` };
  };
  const figure = (name: string, unit: string, values: readonly number[] | undefined, way: Way): Figure => ({
    name,
    value: values && median(values),
    unit,
    runs,
    ...why(way),
  });
  return [
    ...WAYS.map((way) => figure(TITLES[way], 'MiB/s', speeds[way], way)),
    ...LIMITS.map(({ way, against, atLeast }): Figure => {
      const [ours, theirs] = [speeds[way], speeds[against]];
      const value = ours && theirs ? ratio(ours, theirs) : undefined;
      const name = `${TITLES[way]}, against ${TITLES[against]}`;
      return { name, value, unit: 'x', limit: { atLeast }, runs, ...why(way, against) };
    }),
    ...WAYS.map((way) => figure(`time of all processes, ${TITLES[way]}`, 'CPU s/GiB', cpu[way], way)),
  ];
}

/** Four blobs at once, again and again. */
export const blobs: Topic = {
  name: 'blobs',
  about: `local blobs, ${PARALLEL} of 256 MiB at once`,
  async measure(bench) {
    const sites = await startSites();
    // Before the proxies: a storage root that holds nothing is none.
    const { layers, requests } = await pushBlobs(sites, (bench.isQuick ? 16 : 256) * MIB);
    const all = await startAll(bench.bin, sites);
    const absent: Partial<Record<Way, string>> = {};
    const cpu: Partial<Record<Way, number[]>> = {};
    const contenders: Record<string, () => Promise<number>> = {};
    try {
      for (const way of WAYS) {
        const delivery = all[way];
        const problem = 'absent' in delivery ? delivery.absent : await warmUp(bench, delivery, layers, requests);
        if ('absent' in delivery || problem !== undefined) {
          absent[way] = problem!;
          continue;
        }
        const times = (cpu[way] = []);
        contenders[way] = () => turnOf(bench, delivery, requests, times);
      }
      const speeds = (await inTurns(bench.runs, contenders)) as Speeds;
      const peaks = WAYS.flatMap((way) => ('absent' in all[way] ? [] : (all[way].proxy?.peakMemory() ?? [])));
      const peak = Math.max(...peaks) / MIB;
      return [
        ...figuresOf(speeds, cpu, absent, bench.runs),
        { name: 'peak memory, whichever of ours', value: peak, unit: 'MiB', limit: { atMost: 200 }, runs: 1 },
      ];
    } finally {
      for (const delivery of Object.values(all)) if ('stop' in delivery) await delivery.stop();
      await sites.close();
    }
  },
};
