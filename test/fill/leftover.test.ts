// F4: what one run finished and could not store, the next one stores, if it still is what it was.
import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { blob, type Blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download } from './download.ts';
import { isStored, untilStored } from './secondary.ts';

const MiB = 1024 * 1024;

let site: ProxySite;
let spool: string;

beforeAll(async () => {
  site = await startProxySite({ knobs: { linger: 0 } });
  spool = join(site.dataDir, 'spool');
});
afterEach(async () => {
  await site.localRelay.up();
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

/** Pulls a blob that cannot be stored, and stops the proxy; gives the paths of what is then in the spool. */
async function leaveBehind(layer: Blob, repositories: readonly string[]): Promise<{ blob: string; note: string }> {
  await waitFor(isEmpty, { what: 'what the test before it brought to be stored', timeout: 30_000 });
  site.localRelay.rules.push({ match: ({ method }) => method === 'POST', answer: { status: 405 } });
  for (const repository of repositories) await pushBlob(site.primaryTarget(repository), layer);
  for (const repository of repositories) {
    const pulled = await download(site, `${repository}/blobs/${layer.digest}`);
    expect(pulled).toMatchObject({ digest: layer.digest, whole: true });
  }
  await site.proxy.close();
  site.localRelay.reset();
  site.relay.reset();
  const files = (await readdir(spool)).sort();
  expect(files.map((name) => name.replace(/^.*\./, ''))).toEqual(['blob', 'json']);
  const [bytes = '', note = ''] = files.map((name) => join(spool, name));
  return { blob: bytes, note };
}

async function isEmpty(): Promise<boolean> {
  return (await readdir(spool)).length === 0;
}

test('a blob that was not stored is stored after a restart, in all its repositories, and not fetched again', async () => {
  const layer = blob(2 * MiB, 'left behind');
  await leaveBehind(layer, ['left/one', 'left/two']);
  await site.restart();
  await Promise.all([untilStored(site, 'left/one', layer), untilStored(site, 'left/two', layer)]);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(0);
  // Lingers for a while, and goes with the process at the latest.
  await site.restart();
  expect(await isEmpty()).toBe(true);
});

test('a client that asks for it at once gets it without another transfer', async () => {
  const layer = blob(32 * MiB, 'asked at once');
  await leaveBehind(layer, ['left/asked']);
  // Still nothing can be stored, so the file is all there is.
  site.localRelay.rules.push({ match: ({ method }) => method === 'POST', answer: { status: 405 } });
  await site.restart();
  expect(await download(site, `left/asked/blobs/${layer.digest}`)).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(0);
  site.localRelay.reset();
  await site.restart();
  await untilStored(site, 'left/asked', layer);
});

test('a file that was tampered with is neither given nor stored, but removed', async () => {
  const layer = blob(MiB, 'tampered');
  const left = await leaveBehind(layer, ['left/tampered']);
  const file = await open(left.blob, 'r+');
  await file.write(Buffer.from([(layer.bytes[500_000] ?? 0) ^ 1]), 0, 1, 500_000);
  await file.close();
  await site.restart();
  await waitFor(isEmpty, { what: 'the file to be removed' });
  expect(await isStored(site, 'left/tampered', layer)).toBe(false);
  expect(site.log.some(({ digest, msg }) => digest === layer.digest && /not what it was/.test(String(msg)))).toBe(true);
  expect(await download(site, `left/tampered/blobs/${layer.digest}`)).toMatchObject({
    digest: layer.digest,
    whole: true,
  });
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});

test('a note that makes no sense takes its file with it', async () => {
  const layer = blob(MiB, 'no note');
  const { note } = await leaveBehind(layer, ['left/note']);
  const names = ['../../etc', 'UPPER', 'left/note'];
  await writeFile(note, JSON.stringify({ digest: 'sha256:0', names }));
  await site.restart();
  await waitFor(isEmpty, { what: 'both files to be removed' });
});

test('only the names of repositories are taken from a note', async () => {
  const layer = blob(MiB, 'strange names');
  const { note } = await leaveBehind(layer, ['left/strange']);
  const text = await readFile(note, 'utf8');
  await writeFile(note, text.replace('["left/strange"]', '["../../etc","UPPER",7,"left/strange"]'));
  await site.restart();
  await untilStored(site, 'left/strange', layer);
  expect(site.localRelay.requests.map(({ path }) => path).filter((path) => /etc|UPPER/.test(path))).toEqual([]);
});

test('what a run did not finish is removed at the start, what is not ours is not touched', async () => {
  const hex = 'a'.repeat(64);
  const uuid = '00000000-0000-4000-8000-000000000000';
  const ours = [`sha256-${hex}.${uuid}.part`, `sha256-${hex}.${uuid}.json`, `sha512-${hex}${hex}.${uuid}.part`];
  const foreign = ['notes.txt', `sha256-${hex}.part`, `sha256-${hex}.${uuid}.part.bak`, `md5-${hex}.${uuid}.part`];
  await site.proxy.close();
  for (const name of [...ours, ...foreign]) await writeFile(join(spool, name), 'bytes');
  await mkdir(join(spool, 'folder'));
  onTestFinished(async () => {
    for (const name of [...foreign, 'folder']) await rm(join(spool, name), { recursive: true });
  });
  await site.restart();
  await waitFor(async () => (await readdir(spool)).length === foreign.length + 1, { what: 'ours to be removed' });
  expect((await readdir(spool)).sort()).toEqual([...foreign, 'folder'].sort());
});

test('transfers that begin at once with the start are not taken for what an earlier run left', async () => {
  const layer = blob(2 * MiB, 'at the start');
  await pushBlob(site.primaryTarget('left/start'), layer);
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  site.relay.rules.push({ match: bodyOf(layer), holdAfter: MiB, holdGate });
  const older = `sha256-${'b'.repeat(64)}.00000000-0000-4000-8000-000000000000.part`;
  await site.proxy.close();
  await writeFile(join(spool, older), 'bytes');
  await site.restart();
  const pulling = download(site, `left/start/blobs/${layer.digest}`);
  const parts = async (): Promise<string[]> => (await readdir(spool)).filter((name) => name.endsWith('.part'));
  await waitFor(async () => holdGate.arrived === 1 && !(await parts()).includes(older), {
    what: 'the look at the spool',
  });
  await waitFor(async () => (await parts()).length === 1, { what: 'the file of the transfer' });
  holdGate.open();
  expect(await pulling).toMatchObject({ digest: layer.digest, whole: true });
  await untilStored(site, 'left/start', layer);
});

test('a stop while a file of an earlier run is checked leaves it for the next', async () => {
  const layer = blob(48 * MiB, 'stopped again');
  await leaveBehind(layer, ['left/again']);
  site.localRelay.rules.push({ match: ({ method }) => method === 'POST', answer: { status: 405 } });
  await site.restart();
  await site.proxy.close();
  expect((await readdir(spool)).filter((name) => name.endsWith('.blob'))).toHaveLength(1);
  site.localRelay.reset();
  await site.restart();
  await untilStored(site, 'left/again', layer);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(0);
});
