// Blobs: local ones are served from here, the others read through, and "not known" is never "does not exist".
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { blob, type SmallBlob } from '../support/content.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { calm, hasLocalBlob } from './local-copy.ts';
import { statusOf, troubles } from './trouble.ts';
import { scaled } from '../support/patience.ts';

let site: ProxySite;
let name: string;
let layer: SmallBlob;
let count = 0;

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_PRIMARY_TIMEOUT: `${scaled(300)}ms` } });
});
beforeEach(() => {
  name = `blob/no${(count += 1)}`;
  layer = blob(100_000, name);
});
afterEach(() => calm(site));
afterAll(() => site.close());

const atPrimary = (): Promise<void> => pushBlob(site.primaryTarget(name), layer);
const atBoth = async (): Promise<void> => {
  await atPrimary();
  await pushBlob(site.secondaryTarget(name), layer);
};
const ask = (headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET'): Promise<Answer> =>
  site.ask(`${name}/blobs/${layer.digest}`, { method, headers });
const ofThis = ({ path }: { path: string }): boolean => path.includes(`/${name}/`);
const untilHere = (): Promise<true> =>
  waitFor(() => hasLocalBlob(site, name, layer.digest), { what: 'the blob in the secondary' });

function expectWhole({ status, headers, body }: Answer): void {
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    'accept-ranges': 'bytes',
    'cache-control': 'private',
    'content-length': String(layer.size),
    'content-type': 'application/octet-stream',
    'docker-content-digest': layer.digest,
    etag: `"${layer.digest}"`,
  });
  expect(body.equals(layer.bytes)).toBe(true);
}

describe('GET', () => {
  test('of a local blob does not ask the primary', async () => {
    await atBoth();
    expectWhole(await ask());
    expect(site.relay.count()).toBe(0);
  });

  test('of a blob that is not here reads it through once, and it comes here', async () => {
    await atPrimary();
    expectWhole(await ask());
    await untilHere();
    expectWhole(await ask());
    expect(site.relay.requests.filter(ofThis).map(({ method }) => method)).toEqual(['GET']);
  });

  test('of a blob that is nowhere is 404 each time anew', async () => {
    await pushBlob(site.primaryTarget(name), blob(10, 'other'));
    for (let times = 1; times <= 2; times += 1) {
      expect(await ask()).toMatchObject({ status: 404, code: 'BLOB_UNKNOWN' });
      expect(site.relay.count(ofThis)).toBe(times);
    }
    await atPrimary();
    expectWhole(await ask());
  });

  test('of a manifest’s digest as a blob, or of a blob’s repository that is nowhere, is 404', async () => {
    expect((await ask()).status).toBe(404);
  });

  test.each(troubles)('of a local blob, where the primary %s, is served as ever', async (_what, rule) => {
    await atBoth();
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    expectWhole(await ask());
  });

  test.each(troubles)('of a missing blob, where the primary %s, is no 404', async (_what, rule, kind) => {
    await atPrimary();
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    const { status, code, headers } = await ask();
    const expected = statusOf(kind);
    expect(status).toBe(expected);
    expect(code).toBe({ 403: 'DENIED', 429: 'TOOMANYREQUESTS', 503: 'UNAVAILABLE' }[expected]);
    expect(headers['retry-after']).toBe({ 403: undefined, 429: '1', 503: '5' }[expected]);
    expect(await hasLocalBlob(site, name, layer.digest)).toBe(false);
  });

  test('with the local registry down is passed through', async () => {
    await atBoth();
    await site.localRelay.down();
    expectWhole(await ask());
  });

  test.each([500, 401, 403, 502])('where the local registry answers %i is the primary’s', async (status) => {
    await atBoth();
    site.localRelay.rules.push({ match: ({ method }) => method === 'GET', answer: { status, body: 'nonsense' } });
    expectWhole(await ask());
  });

  test('where the local registry refuses a token once is asked with a new one', async () => {
    await atBoth();
    // What earlier tests left to be stored asks the local registry, too.
    site.localRelay.rules.push({
      match: ofThis,
      times: 1,
      answer: { status: 401, headers: { 'www-authenticate': 'Bearer realm="x"' } },
    });
    expectWhole(await ask());
    expect(site.relay.count(ofThis)).toBe(0);
    const [first, second] = site.localRelay.requests.filter(ofThis).map(({ headers }) => headers.authorization);
    expect(first).toMatch(/^Bearer /);
    expect(second).toMatch(/^Bearer /);
    expect(second).not.toBe(first);
  });

  test('with both registries down is 503', async () => {
    await Promise.all([site.relay.down(), site.localRelay.down()]);
    expect(await ask()).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  });

  test('of an empty blob', async () => {
    layer = blob('', name);
    await atPrimary();
    expectWhole(await ask());
    await untilHere();
    expectWhole(await ask());
    expect((await ask({ range: 'bytes=0-' })).status).toBe(416);
  });
});

describe('HEAD', () => {
  test('of a local blob does not ask the primary', async () => {
    await atBoth();
    const answer = await ask({}, 'HEAD');
    expectWhole({ ...answer, body: layer.bytes });
    expect(answer.body.length).toBe(0);
    expect(site.relay.count()).toBe(0);
  });

  test('of a missing blob is a HEAD at the primary and fills nothing', async () => {
    await atPrimary();
    const flights = await site.metric('flights_total');
    const answer = await ask({}, 'HEAD');
    expectWhole({ ...answer, body: layer.bytes });
    expect(site.relay.requests.filter(ofThis).map(({ method }) => method)).toEqual(['HEAD']);
    expect(site.localRelay.requests.filter(ofThis).map(({ method }) => method)).toEqual(['HEAD']);
    expect(await site.metric('flights_total')).toBe(flights);
  });

  test('of a blob that is nowhere is 404', async () => {
    expect((await ask({}, 'HEAD')).status).toBe(404);
  });

  test.each(troubles)('of a missing blob, where the primary %s, is no 404', async (_what, rule, kind) => {
    await atPrimary();
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    const { status } = await ask({}, 'HEAD');
    expect(status).toBe(statusOf(kind));
  });
});
