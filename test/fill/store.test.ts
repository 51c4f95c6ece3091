// F4: trouble in storing harms no client, and what could not be stored is stored later from what is there.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob, type Blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf, download } from './download.ts';
import { createRig, digestOf, startRigSites, type RigSites } from './rig.ts';
import { isStored, untilStored } from './secondary.ts';
import { scaled } from '../support/patience.ts';

const MiB = 1024 * 1024;

const isUpload: RelayMatch = ({ method }) => method === 'POST' || method === 'PUT';
const isPut: RelayMatch = ({ method }) => method === 'PUT';

describe('through the proxy', () => {
  let site: ProxySite;

  beforeAll(async () => {
    site = await startProxySite({ knobs: { storeAgainAfter: 100 } });
  });
  afterEach(async () => {
    await site.localRelay.up();
    site.relay.reset();
    site.localRelay.reset();
  });
  afterAll(() => site.close());

  async function pushed(seed: string): Promise<Blob> {
    const layer = blob(2 * MiB, seed);
    await pushBlob(site.primaryTarget('f4/app'), layer);
    return layer;
  }

  const pull = (layer: Blob): ReturnType<typeof download> => download(site, `f4/app/blobs/${layer.digest}`);

  test.each([
    ['refuses to begin an upload', { match: isUpload, answer: { status: 500 } }],
    ['refuses the body', { match: isPut, answer: { status: 500 } }],
    ['is in maintenance', { match: isUpload, answer: { status: 405, body: 'method not allowed' } }],
    ['asks to slow down', { match: isUpload, answer: { status: 429, headers: { 'retry-after': '1' } } }],
    ['accepts no credentials', { match: isUpload, answer: { status: 401 } }],
    ['says that it has stored what it has not', { match: isPut, answer: { status: 200 } }],
  ])('a secondary that %s harms no client and gets the blob later', async (what, rule) => {
    const layer = await pushed(what);
    site.localRelay.rules.push(rule);
    expect(await pull(layer)).toMatchObject({ digest: layer.digest, whole: true });
    await waitFor(() => site.localRelay.count(rule.match) > 0, { what: 'the upload that fails' });
    // Meanwhile the next client is served from the spool.
    expect(await pull(layer)).toMatchObject({ digest: layer.digest, whole: true });
    expect(await isStored(site, 'f4/app', layer)).toBe(false);
    site.localRelay.rules.length = 0;
    await untilStored(site, 'f4/app', layer);
    expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
  });

  test('an upload that is cut in the middle begins anew from the spool', async () => {
    const layer = await pushed('cut upload');
    const holdGate = createGate();
    site.relay.rules.push({ match: bodyOf(layer), holdAfter: MiB, holdGate });
    const pulling = pull(layer);
    await waitFor(() => site.localRelay.count(isPut) === 1, { what: 'the upload' });
    await site.localRelay.down();
    await site.localRelay.up();
    holdGate.open();
    expect(await pulling).toMatchObject({ digest: layer.digest, whole: true });
    await untilStored(site, 'f4/app', layer);
    const states = (): string =>
      site.localRelay.requests
        .filter(isPut)
        .map(({ state }) => state)
        .join();
    await waitFor(() => states() === 'cut,complete', { what: 'a second upload' });
    expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
  });

  test('a secondary that takes no writes is told once, not once a blob', async () => {
    site.log.length = 0;
    site.localRelay.rules.push({ match: ({ method }) => method === 'POST', answer: { status: 405 } });
    const refused = (): number => site.localRelay.requests.filter(({ method }) => method === 'POST').length;
    const before = refused();
    const layers = [await pushed('read-only 1'), await pushed('read-only 2')];
    for (const layer of layers) expect(await pull(layer)).toMatchObject({ digest: layer.digest, whole: true });
    await waitFor(() => refused() >= before + 2, { what: 'both uploads to be refused' });
    await waitFor(async () => (await site.metric('stores_total', { result: 'failed' })) >= 2, {
      what: 'both failures',
    });
    await waitFor(() => site.log.some(({ msg }) => /takes no writes/.test(String(msg))), { what: 'the line' });
    expect(site.log.filter(({ msg }) => /takes no writes|blob not stored/.test(String(msg)))).toHaveLength(1);
    site.localRelay.rules.length = 0;
    for (const layer of layers) await untilStored(site, 'f4/app', layer);
  });

  test('a secondary that is down is no trouble for clients, and is stored to when it is back', async () => {
    const layer = await pushed('secondary down');
    await site.localRelay.down();
    expect(await pull(layer)).toMatchObject({ digest: layer.digest, whole: true });
    await waitFor(() => site.log.some(({ msg, digest }) => digest === layer.digest && /not stored/.test(String(msg))), {
      what: 'the upload to be given up for now',
      timeout: 20_000,
    });
    await site.localRelay.up();
    await untilStored(site, 'f4/app', layer);
    expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
  });

  test('a read-only secondary is read through, and stored to when it is writable again', async () => {
    const layer = await pushed('read only');
    await site.secondary.stop();
    await site.secondary.start({ readOnly: true });
    expect(await pull(layer)).toMatchObject({ digest: layer.digest, whole: true });
    await waitFor(() => site.localRelay.count(({ method, status }) => method === 'POST' && status === 405) > 0, {
      what: 'the refused upload',
    });
    await site.secondary.stop();
    await site.secondary.start({ readOnly: false });
    await untilStored(site, 'f4/app', layer);
    expect(site.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
  });

  test('an empty blob and one of sha512 are stored as others', async () => {
    for (const content of [blob('', 'empty'), blob(10_000, 'sha512', 'sha512')]) {
      await pushBlob(site.primaryTarget('f4/app'), content);
      const pulled = await site.ask(`f4/app/blobs/${content.digest}`);
      expect(pulled).toMatchObject({ status: 200, headers: { 'content-length': String(content.size) } });
      expect(pulled.body.equals(content.bytes)).toBe(true);
      await untilStored(site, 'f4/app', content);
    }
  });
});

describe('a store by itself', () => {
  let sites: RigSites;

  beforeAll(async () => {
    sites = await startRigSites();
  });
  afterEach(() => {
    sites.relay.reset();
    sites.localRelay.reset();
  });
  afterAll(() => sites.close());

  test('gives up an upload of which the secondary takes nothing, and tries again', async () => {
    await using rig = await createRig(sites, {
      store: { leastRate: { bytes: 65_536, window: scaled(500) }, pauses: [0, 0] },
    });
    // More than the sockets on the way hold.
    const layer = blob(32 * MiB, 'takes nothing');
    await pushBlob(sites.primaryTarget('s/idle'), layer);
    sites.localRelay.rules.push({ match: isPut, hang: true, times: 1 });
    expect(await rig.filler.fill('s/idle', digestOf(layer), 'background')).toMatchObject({ kind: 'found' });
    expect(sites.localRelay.count(isPut)).toBe(2);
    expect(sites.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
  });

  test('gives up an upload that is not answered, and tries again', async () => {
    await using rig = await createRig(sites, {
      store: { leastRate: { bytes: 65_536, window: scaled(500) }, commit: scaled(500), pauses: [0, 0] },
    });
    const layer = blob(1_000, 'no answer');
    await pushBlob(sites.primaryTarget('s/commit'), layer);
    sites.localRelay.rules.push({ match: isPut, hang: true, times: 1 });
    expect(await rig.filler.fill('s/commit', digestOf(layer), 'background')).toMatchObject({ kind: 'found' });
    expect(sites.localRelay.count(isPut)).toBe(2);
  });

  test('does not take a primary that pauses for a secondary that takes nothing', async () => {
    await using rig = await createRig(sites, {
      store: { leastRate: { bytes: 65_536, window: scaled(300) }, pauses: [0] },
    });
    const layer = blob(2 * MiB, 'primary pauses');
    await pushBlob(sites.primaryTarget('s/pause'), layer);
    const holdGate = createGate();
    sites.relay.rules.push({ match: bodyOf(layer), holdAfter: MiB, holdGate });
    const filling = rig.filler.fill('s/pause', digestOf(layer), 'background');
    const given = blob(32 * MiB, 'given up meanwhile');
    await pushBlob(sites.primaryTarget('s/pause'), given);
    await waitFor(() => sites.localRelay.count(isPut) === 1, { what: 'the first upload' });
    // Another upload, that begins later, is given up meanwhile.
    sites.localRelay.rules.push({ match: isPut, hang: true });
    expect(await rig.filler.fill('s/pause', digestOf(given), 'background')).toMatchObject({ kind: 'unavailable' });
    holdGate.open();
    expect(await filling).toMatchObject({ kind: 'found' });
  });

  test('a fill whose secondary cannot be written ends with the reason, and a second one fetches nothing again', async () => {
    await using rig = await createRig(sites, { store: { pauses: [0] } });
    const layer = blob(10_000, 'second fill');
    await pushBlob(sites.primaryTarget('s/again'), layer);
    sites.localRelay.rules.push({ match: isUpload, answer: { status: 405 }, times: 1 });
    expect(await rig.filler.fill('s/again', digestOf(layer), 'background')).toEqual({ kind: 'unsupported' });
    expect(await rig.filler.fill('s/again', digestOf(layer), 'background')).toMatchObject({ kind: 'found' });
    expect(sites.relay.bodyBytes(bodyOf(layer))).toBe(layer.size);
  });
});
