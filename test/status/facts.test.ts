// What lists of the page tell of images: their size and platforms, and when they were pulled last.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { index, manifest } from '../support/image.ts';
import { blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { askAdmin } from './admin.ts';

const name = 'facts/app';
let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite({ env: { GEO_REPLICATION: 'on' } });
});
afterAll(() => site.close());

interface Row {
  readonly reference: string;
  readonly state: string;
  readonly size: number | null;
  readonly platforms: readonly string[];
  readonly lastPulledAt: string | null;
}

const rowOf = async (reference: string): Promise<Row | undefined> => {
  const { rows } = (await askAdmin(site, `/api/repository?name=${name}`)).json as { rows: readonly Row[] };
  return rows.find((row) => row.reference === reference);
};

const sizeOf = (blobs: readonly { readonly size: number }[]): number => blobs.reduce((sum, { size }) => sum + size, 0);

/** Pulls a tag, which has it replicated, and resolves with its row when that is told with its size. */
async function pulled(tag: string): Promise<Row> {
  expect((await site.ask(`${name}/manifests/${tag}`)).status).toBe(200);
  return waitFor(
    async () => {
      const row = await rowOf(tag);
      return row?.state === 'synced' && row.size !== null ? row : undefined;
    },
    { what: `the size of ${tag}` },
  );
}

test('an image has the size of its blobs, and its platform', async () => {
  const pushed = manifest({ layers: [blob(5_000, 'facts')], architecture: 'arm64' });
  await pushImage(site.primaryTarget(name), 'one', pushed);
  const { size, platforms, lastPulledAt } = await pulled('one');
  expect({ size, platforms }).toEqual({ size: sizeOf(pushed.blobs), platforms: ['linux/arm64'] });
  expect(Date.now() - Date.parse(lastPulledAt!)).toBeLessThan(3_600_000);
});

test('an index has the size of all blobs of its images, each once, and their platforms', async () => {
  const pushed = index([
    manifest({ layers: [blob(5_000, 'facts')] }),
    manifest({ layers: [blob(6_000, 'more facts')] }),
  ]);
  await pushImage(site.primaryTarget(name), 'many', pushed);
  const blobs = new Map(pushed.children.flatMap((child) => child.blobs).map((blob) => [blob.digest, blob]));
  const { size, platforms } = await pulled('many');
  expect({ size, platforms }).toEqual({ size: sizeOf([...blobs.values()]), platforms: ['linux/amd64', 'linux/arm64'] });
});

test('the last pull of a tag is told after hundreds of others', async () => {
  const before = (await rowOf('one'))?.lastPulledAt;
  for (let times = 0; times < 220; times += 1) await site.ask(`${name}/manifests/many`, { method: 'HEAD' });
  expect((await rowOf('one'))?.lastPulledAt).toBe(before);
  expect(before).not.toBeNull();
});
