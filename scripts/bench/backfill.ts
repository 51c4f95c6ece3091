// What a backfill does to the event loop that clients are served from.
import type { Snapshot } from '../../src/status/snapshot.ts';
import { image } from '../../test/support/image.ts';
import { pushImage } from '../../test/support/push.ts';
import { startSites } from '../../test/support/sites.ts';
import { tempDir, waitFor } from '../../test/support/tool.ts';
import type { Bench, Topic } from './bench.ts';
import { environment } from './environment.ts';
import { median } from './figure.ts';
import { delayOf, watchLoop, type Delay } from './loop.ts';
import { startProxyProcess } from './proxy-process.ts';
import { taggedWith, writeTags } from './tagged-storage.ts';

const MIB = 1024 * 1024;

interface Measured extends Delay {
  readonly seconds: number;
}

/** A backfill from nothing: of `tags` tags on one image each repository, and of images with layers of their own. */
async function backfillOnce({ bin }: Bench, tags: number, images: number, run: number): Promise<Measured> {
  await using scratch = await tempDir();
  const sites = await startSites();
  try {
    const tagged = taggedWith(image(`backfill ${run}`), 'bench', tags / 20, tags);
    await writeTags(sites.primary, sites.primaryTarget, tagged);
    for (let nth = 0; nth < images; nth += 1) {
      const target = sites.primaryTarget(`bench/image-${nth}`);
      await pushImage(target, 'v1', image(`backfill ${run} ${nth}`, { layers: 8, size: 4 * MIB }));
    }
    const proxy = await startProxyProcess(bin, environment(sites, await watchLoop(scratch.path)));
    await delayOf(proxy, scratch.path);
    const begin = performance.now();
    const isDone = async (): Promise<boolean> => {
      const { replication } = (await (await fetch(`${proxy.adminUrl}/api/status`)).json()) as Snapshot;
      return replication.tags.synced === tags + images;
    };
    await waitFor(isDone, { what: 'the backfill to end', timeout: 120_000 });
    const seconds = (performance.now() - begin) / 1_000;
    const delay = await delayOf(proxy, scratch.path);
    await proxy.stop();
    return { ...delay, seconds };
  } finally {
    await sites.close();
  }
}

/** The event loop's delay in the process while it brings a whole site over. */
export const backfill: Topic = {
  name: 'backfill',
  about: 'the event loop while a site is brought over',
  async measure(bench) {
    const [tags, images] = bench.isQuick ? [40, 2] : [200, 10];
    const measured: Measured[] = [];
    for (let run = 0; run < bench.runs; run += 1) measured.push(await backfillOnce(bench, tags, images, run));
    const { runs } = bench;
    const note =
      'event loop delay: sampled every ms, which it includes, by a script preloaded into the shipped process';
    const p99 = median(measured.map((each) => each.p99));
    return [
      { name: 'event loop delay during a backfill, p99', value: p99, limit: { atMost: 20 }, unit: 'ms', runs, note },
      { name: 'event loop delay, most', value: median(measured.map(({ most }) => most)), unit: 'ms', runs },
      {
        name: `backfill of ${tags} tags and ${images} images of 32 MiB`,
        value: median(measured.map(({ seconds }) => seconds)),
        unit: 's',
        runs,
      },
    ];
  },
};
