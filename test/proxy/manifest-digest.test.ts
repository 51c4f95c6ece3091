// Manifests by digest: a digest names its bytes for ever, so the local copy is the answer, and the primary's else.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digestOf } from '../support/content.ts';
import { image, type Manifest } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { watchArrivals } from './arrivals.ts';
import { calm, localDigest, pushToBoth, untilLocal } from './local-copy.ts';
import { statusOf, troubles } from './trouble.ts';
import { scaled } from '../support/patience.ts';

let site: ProxySite;
let name: string;
let pushed: Manifest;
let count = 0;

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_PRIMARY_TIMEOUT: `${scaled(300)}ms` } });
});
beforeEach(() => {
  name = `digest/no${(count += 1)}`;
  pushed = image(name);
});
afterEach(() => calm(site));
afterAll(() => site.close());

function expectImage({ status, headers, body }: Answer, method = 'GET'): void {
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    'docker-content-digest': pushed.digest,
    'content-type': pushed.mediaType,
    'content-length': String(pushed.size),
    'cache-control': 'private',
    etag: `"${pushed.digest}"`,
  });
  expect(headers['warning']).toBeUndefined();
  expect(body.equals(method === 'HEAD' ? Buffer.alloc(0) : pushed.bytes)).toBe(true);
}

const ofThis = ({ path }: { path: string }): boolean => path.includes(`/${name}/`);

describe.each(['GET', 'HEAD'] as const)('%s of a digest', (method) => {
  const ask = (): Promise<Answer> => site.ask(`${name}/manifests/${pushed.digest}`, { method });

  test('that is here is served from here, then from memory, and the primary is not asked', async () => {
    await pushToBoth(site, name, 'v1', pushed);
    expectImage(await ask(), method);
    const asked = site.localRelay.count(ofThis);
    expect(asked).toBeGreaterThan(0);
    expectImage(await ask(), method);
    expect(site.localRelay.count(ofThis)).toBe(asked);
    expect(site.relay.count(ofThis)).toBe(0);
  });

  test('that is not here is the primary’s, and comes here', async () => {
    await pushImage(site.primaryTarget(name), undefined, pushed);
    expectImage(await ask(), method);
    await untilLocal(site, name, pushed.digest, pushed.digest);
  });

  test('that is nowhere is 404 each time anew', async () => {
    await pushImage(site.primaryTarget(name), 'v1', image('other'));
    for (let times = 1; times <= 2; times += 1) {
      const answer = await ask();
      expect(answer.status).toBe(404);
      if (method === 'GET') expect(answer.code).toBe('MANIFEST_UNKNOWN');
      expect(site.relay.count(ofThis)).toBe(times);
    }
    await pushImage(site.primaryTarget(name), undefined, pushed);
    expectImage(await ask(), method);
  });

  test.each(troubles)('that is here, where the primary %s, is served as ever', async (_what, rule) => {
    await pushToBoth(site, name, 'v1', pushed);
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    expectImage(await ask(), method);
  });

  test.each(troubles)('that is not here, where the primary %s, is no 404', async (_what, rule, kind) => {
    await pushImage(site.primaryTarget(name), undefined, pushed);
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    const { status, code, headers } = await ask();
    const expected = statusOf(kind);
    expect(status).toBe(expected);
    if (method === 'GET') expect(code).toBe({ 403: 'DENIED', 429: 'TOOMANYREQUESTS', 503: 'UNAVAILABLE' }[expected]);
    expect(headers['retry-after']).toBe({ 403: undefined, 429: '1', 503: '5' }[expected]);
    expect(await localDigest(site, name, pushed.digest)).toBeUndefined();
  });

  test('with the local registry down is passed through', async () => {
    await pushToBoth(site, name, 'v1', pushed);
    await site.localRelay.down();
    expectImage(await ask(), method);
  });

  test.each([500, 401, 403, 404, 429])('where the local registry answers %i is the primary’s', async (status) => {
    await pushToBoth(site, name, 'v1', pushed);
    site.localRelay.rules.push({ answer: { status, body: 'nonsense' } });
    expectImage(await ask(), method);
  });

  test('whose local bytes are wrong is the primary’s', async () => {
    await pushToBoth(site, name, 'v1', pushed);
    site.localRelay.rules.push({ corruptAt: 3 });
    expectImage(await ask(), method);
  });
});

test('a local registry that hangs holds nobody up for long', async () => {
  await pushToBoth(site, name, 'v1', pushed);
  site.localRelay.rules.push({ hang: true });
  expectImage(await site.ask(`${name}/manifests/${pushed.digest}`));
});

test('many who ask one cold digest at once cost the primary one request', async () => {
  await pushImage(site.primaryTarget(name), undefined, pushed);
  const answers = await Promise.all(Array.from({ length: 20 }, () => site.ask(`${name}/manifests/${pushed.digest}`)));
  for (const answer of answers) expectImage(answer);
  await untilLocal(site, name, pushed.digest, pushed.digest);
  const first = site.relay.requests.filter(ofThis).filter(({ path }) => path.endsWith(pushed.digest));
  // One for the clients, one for the copy.
  expect(first.filter(({ method }) => method === 'GET').length).toBeLessThanOrEqual(2);
});

test('a manifest over 4 MiB is passed through and not kept, one over 32 MiB refused', async () => {
  const large = Buffer.from(JSON.stringify({ schemaVersion: 2, layers: [], pad: 'x'.repeat(5 * 1024 * 1024) }));
  const headers = { 'content-type': pushed.mediaType, 'docker-content-digest': digestOf(large) };
  site.relay.rules.push({ match: ofThis, answer: { status: 200, headers, body: large } });
  for (let times = 1; times <= 2; times += 1) {
    const answer = await site.ask(`${name}/manifests/${digestOf(large)}`);
    expect(answer.body.equals(large)).toBe(true);
  }
  expect(site.relay.count((request) => ofThis(request) && request.method === 'GET')).toBeGreaterThanOrEqual(2);
  site.relay.rules.length = 0;
  const huge = Buffer.alloc(33 * 1024 * 1024, ' ');
  site.relay.rules.push({ match: ofThis, answer: { status: 200, headers, body: huge } });
  expect(await site.ask(`${name}/manifests/${digestOf(huge)}`)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
});

test('content of excluded repositories is served and never stored', async () => {
  await site.restart({ GEO_REPLICATION_EXCLUDE: 'digest/excluded/**' });
  name = 'digest/excluded/repo';
  await pushImage(site.primaryTarget(name), 'v1', pushed);
  expectImage(await site.ask(`${name}/manifests/v1`));
  for (const { digest, size } of pushed.blobs) {
    expect((await site.ask(`${name}/blobs/${digest}`)).body.length).toBe(size);
  }
  const other = image('other than excluded');
  await pushImage(site.primaryTarget('digest/included'), 'v1', other);
  await site.ask('digest/included/manifests/v1');
  await untilLocal(site, 'digest/included', 'v1', other.digest);
  expect(
    site.localRelay.count((request) => ofThis(request) && request.method !== 'GET' && request.method !== 'HEAD'),
  ).toBe(0);
  await site.restart();
});

test('who asks after a push is not told what an earlier question found', async () => {
  await pushImage(site.primaryTarget(name), 'other', image('other'));
  const gate = createGate();
  const body = JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'said before the push' }] });
  const answer = { status: 404, headers: { 'content-type': 'application/json' }, body };
  // Held when the primary has said it, so that the push comes in between.
  site.relay.rules.push({
    match: ({ method, path }) => method === 'GET' && path.includes(pushed.digest),
    times: 1,
    gate,
    answer,
  });
  const early = site.ask(`${name}/manifests/${pushed.digest}`);
  await waitFor(() => gate.arrived === 1, { what: 'the early question' });
  await pushImage(site.primaryTarget(name), 'v1', pushed);
  using arrivals = watchArrivals(site.proxy.url);
  const late = site.ask(`${name}/manifests/${pushed.digest}`);
  await waitFor(() => arrivals.count === 1, { what: 'the late question' });
  gate.open();
  expect((await early).status).toBe(404);
  expectImage(await late);
});
