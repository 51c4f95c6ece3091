// A digest is no key: bytes that the proxy holds for one repository are given under another only once a registry says so.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { dockerList, dockerManifest, image, type Manifest } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { repositoryAccess } from '../support/token.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf } from '../fill/download.ts';
import { isStored, untilStored } from '../fill/secondary.ts';
import { untilLocal } from './local-copy.ts';
import { answering } from './trouble.ts';

const KiB = 1024;

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
  // A repository that exists at the primary, with nothing that anybody looks for.
  await pushImage(site.primaryTarget('member/other'), 'v1', image('member other'));
});
afterEach(async () => {
  await Promise.all([site.relay.up(), site.localRelay.up()]);
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

let count = 0;

/** A blob of one repository, named after its number. */
async function owned(size = 300 * KiB): Promise<{ name: string; layer: SmallBlob; path: string }> {
  const name = `member/owner${(count += 1)}`;
  const layer = blob(size, name);
  await pushBlob(site.primaryTarget(name), layer);
  return { name, layer, path: `${name}/blobs/${layer.digest}` };
}

/** Whoever asks another repository for a digest gets 404, in every way of asking. */
async function expectUnknown(
  { digest }: { digest: string },
  others = ['member/other', 'member/nowhere'],
): Promise<void> {
  for (const name of others) {
    const path = `${name}/blobs/${digest}`;
    for (const headers of [{}, { range: 'bytes=0-9' }, { range: 'bytes=-1' }, { 'if-none-match': `"${digest}"` }]) {
      const answer = await site.ask(path, { headers });
      expect({ status: answer.status, code: answer.code }).toEqual({ status: 404, code: 'BLOB_UNKNOWN' });
      expect(answer.headers).not.toHaveProperty('docker-content-digest');
    }
    expect((await site.ask(path, { method: 'HEAD' })).status).toBe(404);
    const token = site.tokenFor([repositoryAccess(name, 'pull', 'push')]);
    expect((await site.ask(path, { method: 'HEAD', token })).status).toBe(404);
  }
}

const isOfOther: RelayMatch = ({ path }) => path.startsWith('/v2/member/other/');
const isHead: RelayMatch = ({ method }) => method === 'HEAD';
const headOf =
  ({ path }: { path: string }): RelayMatch =>
  (request) =>
    isHead(request) && request.path.endsWith(path);

describe('a blob of another repository', () => {
  test('is 404 while it is on its way, and its owner gets all of it', async () => {
    const { layer, path } = await owned();
    const holdGate = createGate();
    site.relay.rules.push({ match: bodyOf(layer), holdAfter: layer.size / 2, holdGate, times: 1 });
    const own = site.ask(path);
    await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });
    await expectUnknown(layer);
    holdGate.open();
    expect((await own).body.equals(layer.bytes)).toBe(true);
  });

  test('is 404 before its first byte is there, too', async () => {
    const { layer, path } = await owned();
    const gate = createGate();
    site.relay.rules.push({ match: bodyOf(layer), gate, times: 1 });
    const own = site.ask(path);
    await waitFor(() => gate.arrived === 1, { what: 'the owner’s question' });
    const other = site.ask(`member/other/blobs/${layer.digest}`);
    await waitFor(() => site.localRelay.count(bodyOf(layer)) === 2, { what: 'the other one’s question' });
    gate.open();
    expect((await own).body.equals(layer.bytes)).toBe(true);
    expect(await other).toMatchObject({ status: 404, code: 'BLOB_UNKNOWN' });
  });

  test('is 404 when it has just arrived, and its file is still there', async () => {
    const { layer, path } = await owned();
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
    // The local registry knows nothing of it: what is given now is given from the file.
    site.localRelay.rules.push(answering(404, 'BLOB_UNKNOWN', { match: ({ method }) => method === 'GET' }));
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
    expect(site.relay.count(bodyOf(layer))).toBe(1);
    await expectUnknown(layer);
  });

  test('is 404 when it is stored, here and at the primary', async () => {
    const { name, layer, path } = await owned();
    expect((await site.ask(path)).status).toBe(200);
    await untilStored(site, name, layer);
    await expectUnknown(layer);
    expect(await isStored(site, 'member/other', layer)).toBe(false);
    site.relay.reset();
    expect((await site.ask(path)).body.equals(layer.bytes)).toBe(true);
    expect(site.relay.count()).toBe(0);
  });

  test('is 404 after a restart', async () => {
    const { layer, path } = await owned();
    expect((await site.ask(path)).status).toBe(200);
    await site.restart();
    await expectUnknown(layer);
  });

  test('is not given while the primary cannot be asked, and not called unknown either', async () => {
    const { layer, path } = await owned();
    const holdGate = createGate();
    site.relay.rules.push({ match: bodyOf(layer), holdAfter: 0, holdGate, times: 1 });
    site.relay.rules.push({ match: isHead, answer: { status: 503 } });
    const own = site.ask(path);
    await waitFor(() => holdGate.arrived === 1, { what: 'the blob to be on its way' });
    const other = await site.ask(`member/other/blobs/${layer.digest}`);
    expect({ status: other.status, code: other.code }).toEqual({ status: 503, code: 'UNAVAILABLE' });
    holdGate.open();
    expect((await own).body.equals(layer.bytes)).toBe(true);
  });

  test('is not given on the word of a page', async () => {
    const { layer, path } = await owned();
    expect((await site.ask(path)).status).toBe(200);
    const page = { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>Log in' };
    site.relay.rules.push({ match: isOfOther, answer: page });
    expect((await site.ask(`member/other/blobs/${layer.digest}`)).status).toBe(503);
    expect((await site.ask(`member/other/blobs/${layer.digest}`, { method: 'HEAD' })).status).toBe(503);
  });

  test('that is refused to us is refused, whatever we hold', async () => {
    const { layer, path } = await owned();
    expect((await site.ask(path)).status).toBe(200);
    site.relay.rules.push(answering(403, 'DENIED', { match: isOfOther }));
    expect(await site.ask(`member/other/blobs/${layer.digest}`)).toMatchObject({ status: 403, code: 'DENIED' });
  });

  test('is nothing that a token of its owner opens under the other’s name', async () => {
    const { name, layer, path } = await owned();
    expect((await site.ask(path)).status).toBe(200);
    const answer = await site.ask(`member/other/blobs/${layer.digest}`, { token: site.pullToken(name) });
    expect(answer.status).toBe(401);
    expect((await site.ask(path, { token: site.pullToken('member/other') })).status).toBe(401);
  });
});

test('the one that lacks it, asking first, does not spoil it for its owner', async () => {
  const { layer, path } = await owned();
  const other = `member/other/blobs/${layer.digest}`;
  const gate = createGate();
  site.relay.rules.push({ match: ({ path: asked }) => asked === `/v2/${other}`, gate, times: 1 });
  const lacking = site.ask(other);
  await waitFor(() => gate.arrived === 1, { what: 'the question of the one that lacks it' });
  const own = site.ask(path);
  await waitFor(() => site.localRelay.count(bodyOf(layer)) === 2, { what: 'the owner’s question' });
  gate.open();
  expect(await lacking).toMatchObject({ status: 404, code: 'BLOB_UNKNOWN' });
  expect((await own).body.equals(layer.bytes)).toBe(true);
});

/** The path of a blob in a second repository of the primary. */
async function alsoIn(name: string, layer: SmallBlob): Promise<string> {
  await pushBlob(site.primaryTarget(name), layer);
  return `${name}/blobs/${layer.digest}`;
}

describe('a repository that really has it', () => {
  test('gets it while it is on its way, and the WAN carries it once', async () => {
    const { name, layer, path } = await owned();
    const also = await alsoIn(`${name}/also`, layer);
    const holdGate = createGate();
    site.relay.rules.push({ match: bodyOf(layer), holdAfter: layer.size / 2, holdGate });
    const own = site.ask(path);
    await waitFor(() => holdGate.arrived === 1, { what: 'half of the blob' });
    const others = [site.ask(also), site.ask(also), site.ask(also)];
    await waitFor(() => site.relay.count(headOf({ path: also })) > 0, { what: 'the primary to be asked' });
    holdGate.open();
    for (const answer of await Promise.all([own, ...others])) expect(answer.body.equals(layer.bytes)).toBe(true);
    expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
    expect(site.relay.count(headOf({ path: also }))).toBe(1);
  });

  test('gets it after it arrived, once the primary has confirmed it, and has it here then', async () => {
    const { name, layer, path } = await owned();
    const also = await alsoIn(`${name}/also`, layer);
    expect((await site.ask(path)).status).toBe(200);
    await untilStored(site, name, layer);
    expect((await site.ask(also)).body.equals(layer.bytes)).toBe(true);
    expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
    expect(site.relay.count(headOf({ path: also }))).toBe(1);
    await untilStored(site, `${name}/also`, layer);
  });
});

async function expectNoManifest(name: string, { digest }: Manifest): Promise<void> {
  const path = `${name}/manifests/${digest}`;
  for (const headers of [{}, { 'if-none-match': `"${digest}"` }]) {
    expect(await site.ask(path, { headers })).toMatchObject({ status: 404, code: 'MANIFEST_UNKNOWN' });
    expect((await site.ask(path, { headers, method: 'HEAD' })).status).toBe(404);
  }
}

/** An image of one repository, and what its first pull through the proxy got. */
async function ownedImage(): Promise<{ name: string; pushed: Manifest; answer: Answer }> {
  const name = `member/owner${(count += 1)}`;
  const pushed = image(name);
  await pushImage(site.primaryTarget(name), 'v1', pushed);
  return { name, pushed, answer: await site.ask(`${name}/manifests/v1`) };
}

describe('a manifest of another repository', () => {
  test('is 404 from memory, and when it is stored', async () => {
    const { name, pushed, answer } = await ownedImage();
    expect(answer.body.equals(pushed.bytes)).toBe(true);
    await expectNoManifest('member/other', pushed);
    await expectNoManifest('member/nowhere', pushed);
    await untilLocal(site, name, 'v1', pushed.digest);
    await expectNoManifest('member/other', pushed);
  });

  test('is 404 while its owner’s question is under way', async () => {
    const name = `member/owner${(count += 1)}`;
    const pushed = image(name);
    await pushImage(site.primaryTarget(name), 'v1', pushed);
    const gate = createGate();
    site.relay.rules.push({ match: ({ path }) => path.startsWith(`/v2/${name}/`), gate });
    const own = site.ask(`${name}/manifests/${pushed.digest}`);
    await waitFor(() => gate.arrived === 1, { what: 'the owner’s question' });
    await expectNoManifest('member/other', pushed);
    gate.open();
    expect((await own).body.equals(pushed.bytes)).toBe(true);
  });

  test('its blobs, started ahead of its client, are its repository’s alone', async () => {
    const { name, pushed } = await ownedImage();
    for (const layer of pushed.blobs) await expectUnknown(layer, ['member/other']);
    for (const layer of pushed.blobs) expect((await site.ask(`${name}/blobs/${layer.digest}`)).status).toBe(200);
  });

  test('is the one that a list of one’s own names, only where one has it, too', async () => {
    const [child, pair] = [
      dockerManifest({ layers: [blob(900, 'member child')] }),
      dockerManifest({ layers: [blob(901, 'member pair')] }),
    ];
    await pushImage(site.primaryTarget('member/children'), 'v1', child);
    expect((await site.ask('member/children/manifests/v1')).status).toBe(200);
    // Whoever can push a list can name in it what is another’s: here the primary would not take it, so the relay says it has.
    const list = dockerList([child, pair]);
    const headers = { 'content-type': list.mediaType, 'docker-content-digest': list.digest };
    const match: RelayMatch = ({ path }) => path === '/v2/member/other/manifests/list' || path.endsWith(list.digest);
    site.relay.rules.push({ match, answer: { status: 200, headers, body: list.bytes } });
    const ask = (accept: string): Promise<Answer> => site.ask('member/other/manifests/list', { headers: { accept } });
    expect((await ask(list.mediaType)).body.equals(list.bytes)).toBe(true);
    expect(await ask(child.mediaType)).toMatchObject({ status: 404, code: 'MANIFEST_UNKNOWN' });
  });
});

test('a private repository’s content is nothing without its token, however hot it is', async () => {
  const name = 'private/hot';
  const pushed = image(name);
  await pushImage(site.primaryTarget(name), 'v1', pushed);
  const paths = ['manifests/v1', `manifests/${pushed.digest}`, ...pushed.blobs.map(({ digest }) => `blobs/${digest}`)];
  for (const path of paths) expect((await site.ask(`${name}/${path}`)).status).toBe(200);
  site.relay.reset();
  const token = site.tokenFor(
    ['member/other', 'private', 'private/hotter'].map((each) => repositoryAccess(each, 'pull')),
  );
  for (const path of [...paths, 'tags/list']) {
    expect(await site.ask(`${name}/${path}`, { token })).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
    expect((await site.ask(`${name}/${path}`, { token: '' })).status).toBe(401);
  }
  for (const path of paths.slice(1)) {
    expect((await site.ask(`member/other/${path}`, { token })).status).toBe(404);
  }
});
