// F1: however many want a blob, and under whatever names, its body crosses the WAN once.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob, type Blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download, firstByteOf, receive } from './download.ts';
import { untilStored } from './secondary.ts';

const MiB = 1024 * 1024;

const isMount: RelayMatch = ({ method, path }) => method === 'POST' && path.includes('mount=');

let site: ProxySite;

beforeAll(async () => {
  site = await startProxySite();
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

async function push(content: Blob, ...repositories: string[]): Promise<void> {
  for (const repository of repositories) await pushBlob(site.primaryTarget(repository), content);
}

test('16 clients, early, late, slow and leaving, cost one body', async () => {
  const layer = blob(48 * MiB, 'headline');
  await push(layer, 'f1/headline');
  const path = `f1/headline/blobs/${layer.digest}`;
  const holdGate = createGate();
  const isSecondHalf: RelayMatch = (request) => bodyOf(layer)(request) && firstByteOf(request) >= layer.size / 2;
  site.relay.rules.push({ match: isSecondHalf, gate: holdGate });

  const early = Array.from({ length: 8 }, () => download(site, path));
  const { promise: othersDone, resolve: othersAreDone } = Promise.withResolvers<void>();
  const slow = site.open(path).then((response) => {
    // About 1 MB a second, as long as there is somebody whom that could hold up.
    return receive(response, () => Promise.race([othersDone, pause(60)]));
  });
  const leaving = site.open(path).then(async (response) => {
    for await (const chunk of response.body) if (chunk) break;
  });
  await waitFor(() => holdGate.arrived > 0, { what: 'half of the blob' });
  const late = Array.from({ length: 6 }, () => download(site, path));
  await leaving;
  // Each has looked into the secondary, which does not have it.
  await waitFor(() => site.localRelay.count(bodyOf(layer)) === 16, { what: 'all the clients' });
  holdGate.open();

  const others = await Promise.all([...early, ...late]);
  othersAreDone();
  const all = [...others, await slow];
  expect(all).toEqual(
    Array.from({ length: 15 }, () =>
      expect.objectContaining({ status: 200, size: layer.size, digest: layer.digest, whole: true }),
    ),
  );
  await untilStored(site, 'f1/headline', layer);
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
});

test('a blob asked under two repositories at once is fetched once, given under both, and stored in both', async () => {
  const layer = blob(3 * MiB, 'two repositories');
  await push(layer, 'f1/one', 'f1/two');
  const gate = createGate();
  site.relay.rules.push({ match: bodyOf(layer), gate });
  const both = ['f1/one', 'f1/two'].map((name) => download(site, `${name}/blobs/${layer.digest}`));
  await waitFor(() => gate.arrived === 1, { what: 'the one request' });
  gate.open();
  for (const one of await Promise.all(both)) expect(one).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.count(bodyOf(layer))).toBe(1);
  // The primary was asked whether the second repository has it, too.
  expect(site.relay.count(({ method }) => method === 'HEAD')).toBe(1);
  await Promise.all([untilStored(site, 'f1/one', layer), untilStored(site, 'f1/two', layer)]);
  // Sent once, linked the second time.
  expect(site.localRelay.count(({ method }) => method === 'PUT')).toBe(1);
  expect(site.localRelay.count(isMount)).toBe(1);
});

test.each([400, 404, 405])('a secondary that answers a mount with %i is sent the blob', async (status) => {
  const layer = blob(MiB, `no mount: ${status}`);
  const [one, two] = [`f1/no-mount-${status}`, `f1/no-mount-${status}-too`];
  await push(layer, one, two);
  const gate = createGate();
  site.relay.rules.push({ match: bodyOf(layer), gate });
  site.localRelay.rules.push({ match: isMount, answer: { status } });
  const both = [one, two].map((name) => download(site, `${name}/blobs/${layer.digest}`));
  await waitFor(() => gate.arrived === 1, { what: 'the one request' });
  gate.open();
  for (const each of await Promise.all(both)) expect(each).toMatchObject({ digest: layer.digest, whole: true });
  await Promise.all([untilStored(site, one, layer), untilStored(site, two, layer)]);
  expect(site.localRelay.count(isMount)).toBe(1);
  expect(site.relay.count(bodyOf(layer))).toBe(1);
});

test('a blob of another repository is a 404 during its fill and right after it', async () => {
  const layer = blob(2 * MiB, 'not yours');
  await push(layer, 'f1/mine');
  const holdGate = createGate();
  site.relay.rules.push({ match: bodyOf(layer), holdAfter: MiB, holdGate });
  const mine = download(site, `f1/mine/blobs/${layer.digest}`);
  await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });
  const during = await site.ask(`f1/yours/blobs/${layer.digest}`);
  holdGate.open();
  expect(await mine).toMatchObject({ digest: layer.digest, whole: true });
  const after = await site.ask(`f1/yours/blobs/${layer.digest}`);
  expect([during, after]).toMatchObject([
    { status: 404, code: 'BLOB_UNKNOWN' },
    { status: 404, code: 'BLOB_UNKNOWN' },
  ]);
});

test('a 404 of the repository that asked first says nothing about the one that has the blob', async () => {
  const layer = blob(MiB, 'theirs');
  await push(layer, 'f1/has');
  const gate = createGate();
  const lacks: RelayMatch = ({ path }) => path === `/v2/f1/lacks/blobs/${layer.digest}`;
  site.relay.rules.push({ match: lacks, gate });
  const first = download(site, `f1/lacks/blobs/${layer.digest}`);
  await waitFor(() => gate.arrived === 1, { what: 'the request for the repository without it' });
  const second = download(site, `f1/has/blobs/${layer.digest}`);
  await waitFor(() => site.localRelay.count(({ path }) => path.startsWith('/v2/f1/has/')) === 1, {
    what: 'the second request',
  });
  gate.open();
  expect(await Promise.all([first, second])).toMatchObject([{ status: 404 }, { status: 200, digest: layer.digest }]);
  expect(site.relay.count(bodyOf(layer)) - site.relay.count(lacks)).toBe(1);
});

test('who asked the secondary just before the blob was there does not fetch it again', async () => {
  const layer = blob(MiB, 'lingering');
  await push(layer, 'f1/lingering');
  const path = `f1/lingering/blobs/${layer.digest}`;
  const gate = createGate();
  const unknown = JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: '' }] });
  // The second client's look at the secondary is answered as of before the blob was stored.
  const isLook: RelayMatch = ({ method, path: asked, nth }) => method === 'GET' && asked === `/v2/${path}` && nth === 2;
  const answer = { status: 404, headers: { 'content-type': 'application/json' }, body: unknown };
  site.localRelay.rules.push({ match: isLook, gate, answer });
  const first = await site.open(path);
  const second = download(site, path);
  await waitFor(() => gate.arrived === 1, { what: 'the second client’s look' });
  expect(await receive(first)).toMatchObject({ whole: true });
  await untilStored(site, 'f1/lingering', layer);
  gate.open();
  expect(await second).toMatchObject({ digest: layer.digest, whole: true });
  expect(site.relay.count(bodyOf(layer))).toBe(1);
});

test('HEAD of a missing blob is answered by the primary and fills nothing', async () => {
  const layer = blob(MiB, 'only looked at');
  await push(layer, 'f1/looked');
  const head = await site.ask(`f1/looked/blobs/${layer.digest}`, { method: 'HEAD' });
  expect(head).toMatchObject({ status: 200, headers: { 'content-length': String(layer.size) } });
  expect(site.relay.bodyBytes(bodyOf(layer))).toBe(0);
  expect(site.relay.count(({ method, path }) => method === 'GET' && path.includes(layer.digest))).toBe(0);
});
