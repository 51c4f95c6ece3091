// Cold pulls from far away, where each connection gives little: one large blob, and an image of several layers.
import { largeBlob } from '../../test/support/content.ts';
import { manifest, type Manifest } from '../../test/support/image.ts';
import { pushBlob, pushImage } from '../../test/support/push.ts';
import { inTurns, type Bench, type Topic } from './bench.ts';
import { pullHeaders } from './environment.ts';
import { median, ratio, type Figure } from './figure.ts';
import { startLine, type Line } from './line.ts';
import { startLink, type Link } from './link.ts';
import { CACHE_NOTE, startCache } from './pulls.ts';
import type { WireRequest } from './wire.ts';

const MIB = 1024 * 1024;
const FAR = { roundTrip: 60, ratePerConnection: 10_000_000 };
const REPOSITORY = 'bench/distance';
const LAYERS = 8;
// As many as Docker takes at once.
const AT_ONCE = 3;

async function largeOne(bench: Bench, line: Line): Promise<Figure[]> {
  const size = (bench.isQuick ? 6 : 96) * MIB;
  const blob = await largeBlob(size, 'direct');
  await pushBlob(line.sites.primaryTarget(REPOSITORY), blob);
  const { direct, ours } = await inTurns(bench.runs, {
    direct: () => line.pull(line.link.port, blob),
    async ours(turn) {
      const fresh = await largeBlob(size, `distance ${turn}`);
      await pushBlob(line.sites.primaryTarget(REPOSITORY), fresh);
      const seconds = await line.pull(line.proxy.port, fresh);
      await line.stored(fresh);
      return seconds;
    },
  });
  const { runs } = bench;
  const name = `cold blob of ${size / MIB} MiB`;
  return [
    { name: `${name}, directly over one connection`, value: median(direct), unit: 's', runs },
    { name: `${name}, ours`, value: median(ours), unit: 's', runs },
    {
      name: `${name}, ours against one connection`,
      value: ratio(direct, ours),
      unit: 'x',
      limit: { atLeast: 3.5 },
      runs,
    },
  ];
}

async function newImage(line: Line, size: number, seed: string): Promise<Manifest> {
  const layers = await Promise.all(Array.from({ length: LAYERS }, (_, nth) => largeBlob(size, `${seed} ${nth}`)));
  const image = manifest({ layers });
  await pushImage(line.sites.primaryTarget(REPOSITORY), seed.replace(' ', '-'), image);
  return image;
}

/** Seconds for all of an image, as Docker pulls it. */
async function pullImage({ load }: Bench, { sites }: Line, port: number, image: Manifest): Promise<number> {
  const headers = pullHeaders(sites, REPOSITORY);
  const get = (path: string): WireRequest => ({ method: 'GET', path: `/v2/${REPOSITORY}/${path}`, headers });
  const first = await load.runAll({ kind: 'download', port, requests: [get(`manifests/${image.digest}`)], atOnce: 1 });
  const requests = image.blobs.map(({ digest }) => get(`blobs/${digest}`));
  const rest = await load.runAll({ kind: 'download', port, requests, atOnce: AT_ONCE });
  return first.seconds + rest.seconds;
}

async function images(bench: Bench, line: Line): Promise<Figure[]> {
  const size = (bench.isQuick ? 1 : 12) * MIB;
  let far: Link | undefined;
  const cache = await startCache(line.sites.primary, async ({ port }) => {
    far = await startLink({ ...FAR, target: port });
    return far.url;
  });
  try {
    const measured = await inTurns(bench.runs, {
      cache: async (turn) => pullImage(bench, line, cache.port, await newImage(line, size, `cache ${turn}`)),
      async ours(turn) {
        const image = await newImage(line, size, `ours ${turn}`);
        const seconds = await pullImage(bench, line, line.proxy.port, image);
        for (const blob of image.blobs) await line.stored(blob);
        return seconds;
      },
    });
    const { runs } = bench;
    const name = `cold image of ${LAYERS} layers of ${size / MIB} MiB, ${AT_ONCE} at once`;
    return [
      { name: `${name}, cache`, value: median(measured.cache), unit: 's', runs },
      { name: `${name}, ours`, value: median(measured.ours), unit: 's', runs },
      {
        name: 'cold image, ours against the pull-through cache',
        value: ratio(measured.cache, measured.ours),
        unit: 'x',
        limit: { atLeast: 2 },
        runs,
        note: CACHE_NOTE,
      },
    ];
  } finally {
    await cache.close();
    far?.stop();
  }
}

/** A line of 60 ms. */
export const distance: Topic = {
  name: 'distance',
  about: 'cold pulls over a line of 60 ms and 10 MB/s a connection',
  async measure(bench) {
    const line = await startLine(bench, REPOSITORY, FAR);
    try {
      const figures = [...(await largeOne(bench, line)), ...(await images(bench, line))];
      const peak = line.proxy.peakMemory() / MIB;
      return [...figures, { name: 'peak memory', value: peak, unit: 'MiB', limit: { atMost: 200 }, runs: 1 }];
    } finally {
      await line.close();
    }
  },
};
