// F5, F8 with a primary that redirects to an object storage: what that says wrongly, and signatures that expire.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { startObjectStorage, type ObjectStorage } from '../support/object-storage.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { bodyOf, download } from './download.ts';
import { untilStored } from './secondary.ts';

const MiB = 1024 * 1024;

let site: ProxySite;
let storage: ObjectStorage;
beforeAll(async () => {
  storage = await startObjectStorage();
  site = await startProxySite({
    primary: { redirectTo: storage.url },
    knobs: { parts: { connections: 4, size: 2 * MiB, above: 4 * MiB } },
  });
  storage.root = site.primary.dir;
});
afterEach(async () => {
  await storage.up();
  storage.faults.length = 0;
  storage.asked.length = 0;
  site.relay.reset();
});
afterAll(async () => {
  await site.close();
  await storage.close();
});

let count = 0;

async function pushed(size: number): Promise<{ path: string; layer: SmallBlob; name: string }> {
  const name = `f8/no${(count += 1)}`;
  const layer = blob(size, name);
  await pushBlob(site.primaryTarget(name), layer);
  return { path: `${name}/blobs/${layer.digest}`, layer, name };
}

test('a transfer that broke off goes on by a fresh redirect each time, also after one whose signature has expired', async () => {
  const { path, layer, name } = await pushed(2 * MiB);
  storage.faults.push({ cutAfter: MiB, times: 1 }, { status: 403, times: 2 });
  expect(await download(site, path)).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.count(bodyOf(layer))).toBe(4);
  expect(storage.asked.map(({ headers }) => headers.range?.startsWith('bytes=0-') ?? true)).toEqual([
    true,
    false,
    false,
    false,
  ]);
  await untilStored(site, name, layer);
});

test('pieces whose signature has expired are asked for anew', async () => {
  const { path, layer } = await pushed(9 * MiB);
  storage.faults.push({ times: 1 }, { status: 403, times: 3 }, { cutAfter: MiB, times: 2 });
  expect(await download(site, path)).toMatchObject({ digest: layer.digest, whole: true });
});

test('a storage that ignores ranges gives all over one connection, and is taken up again where it broke off', async () => {
  const { path, layer } = await pushed(9 * MiB);
  storage.faults.push({ ignoreRange: true, cutAfter: 5 * MiB, times: 1 }, { ignoreRange: true });
  expect(await download(site, path)).toMatchObject({ digest: layer.digest, whole: true });
  expect(storage.asked).toHaveLength(2);
});

test('a storage that does not have what its registry redirects for is no 404', async () => {
  const { path } = await pushed(2 * MiB);
  storage.faults.push({ status: 404 });
  expect(await site.ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  expect((await site.ask(path, { method: 'HEAD' })).status).toBe(503);
});

test('one that is down is named in the log, and is no outage of the primary', async () => {
  const { path, layer } = await pushed(2 * MiB);
  await storage.down();
  for (let times = 0; times < 6; times += 1) {
    expect(await site.ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  }
  const reasons = site.log.map(({ cause }) => String(cause));
  expect(
    reasons.filter((reason) => reason.includes(`primary: redirected to ${new URL(storage.url).host}: `)),
  ).toHaveLength(6);
  expect(await site.metric('breaker_open')).toBe(0);
  await storage.up();
  expect(await download(site, path)).toMatchObject({ digest: layer.digest, whole: true });
});
