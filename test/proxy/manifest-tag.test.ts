// Manifests by tag: a tag moves, so the primary decides, and the local copy stands in where it cannot.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { image, type Manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { calm, localDigest, pushToBoth, untilLocal } from './local-copy.ts';
import { statusOf, troubles } from './trouble.ts';
import { scaled } from '../support/patience.ts';

let site: ProxySite;
const here = image('here');
const moved = image('moved');
const isPath = (path: string) => (request: { path: string }) => request.path.includes(path);

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_PRIMARY_TIMEOUT: `${scaled(300)}ms` } });
  await pushToBoth(site, 'tag/stable', 'v1', here);
  await pushImage(site.primaryTarget('tag/remote'), 'v1', here);
});
afterEach(() => calm(site));
afterAll(() => site.close());

describe.each(['GET', 'HEAD'] as const)('%s of a tag', (method) => {
  let name: string;
  let count = 0;
  beforeEach(() => {
    name = `tag/${method.toLowerCase()}${(count += 1)}`;
  });

  function expectImage({ status, headers, body }: Awaited<ReturnType<ProxySite['ask']>>, image: Manifest): void {
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'docker-content-digest': image.digest,
      'content-type': image.mediaType,
      'content-length': String(image.size),
      'cache-control': 'private',
      etag: `"${image.digest}"`,
    });
    expect(body.equals(method === 'HEAD' ? Buffer.alloc(0) : image.bytes)).toBe(true);
  }

  test('that means the same at both sites costs the primary one HEAD', async () => {
    const answer = await site.ask('tag/stable/manifests/v1', { method });
    expectImage(answer, here);
    expect(answer.headers['warning']).toBeUndefined();
    const asked = site.relay.requests.filter(isPath('/tag/stable/'));
    expect(asked.map((request) => `${request.method} ${request.path}`)).toEqual(['HEAD /v2/tag/stable/manifests/v1']);
  });

  test('that is nowhere here is the primary’s, and comes here', async () => {
    await pushImage(site.primaryTarget(name), 'v1', moved);
    expectImage(await site.ask(`${name}/manifests/v1`, { method }), moved);
    await untilLocal(site, name, 'v1', moved.digest);
  });

  test('that was pushed anew is the new one at once, and the new one comes here', async () => {
    await pushToBoth(site, name, 'v1', here);
    expectImage(await site.ask(`${name}/manifests/v1`, { method }), here);
    await pushImage(site.primaryTarget(name), 'v1', moved);
    expectImage(await site.ask(`${name}/manifests/v1`, { method }), moved);
    await untilLocal(site, name, 'v1', moved.digest);
  });

  test('that the primary has no more is 404, and its removal here is queued', async () => {
    await pushToBoth(site, name, 'v1', here);
    await deleteManifest(site.primaryTarget(name), here.digest);
    const answer = await site.ask(`${name}/manifests/v1`, { method });
    expect(answer.status).toBe(404);
    if (method === 'GET') expect(answer.code).toBe('MANIFEST_UNKNOWN');
    // Whoever is to remove it reads the primary again: the answer itself took a HEAD and a GET.
    await waitFor(() => site.relay.count(isPath(`/${name}/manifests/v1`)) > 2, { what: 'a second look' });
  });

  test('that is nowhere is 404, as often as it is asked, and nobody’s work', async () => {
    for (let times = 1; times <= 2; times += 1) {
      const answer = await site.ask(`tag/remote/manifests/no-such-${method}`, { method });
      expect(answer.status).toBe(404);
      if (method === 'GET') expect(answer.code).toBe('MANIFEST_UNKNOWN');
      // A HEAD, and the GET whose body settles it.
      expect(site.relay.count(isPath(`no-such-${method}`))).toBe(2 * times);
    }
    // Looked for here once, to see whether anything is to be removed.
    const isThis = isPath(`no-such-${method}`);
    await waitFor(() => site.localRelay.count(isThis) >= 2, { what: 'the look at the local registry' });
    expect(site.localRelay.count(isThis)).toBe(2);
  });

  test('of a repository that is nowhere is 404', async () => {
    const answer = await site.ask(`${name}/manifests/v1`, { method });
    expect(answer.status).toBe(404);
    if (method === 'GET') expect(['NAME_UNKNOWN', 'MANIFEST_UNKNOWN']).toContain(answer.code);
  });

  test.each(troubles)('where the primary %s is the local copy, with a warning', async (_what, rule, kind) => {
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    const before = await site.metric('stale_answers_total', { reason: kind });
    const answer = await site.ask('tag/stable/manifests/v1', { method });
    expectImage(answer, here);
    expect(answer.headers['warning']).toBe(
      `299 - "the primary registry could not be asked (${kind}); this is the local copy"`,
    );
    expect(await site.metric('stale_answers_total', { reason: kind })).toBe(before + 1);
  });

  test.each(troubles)('where the primary %s and nothing is here is no 404', async (_what, rule, kind) => {
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    const answer = await site.ask('tag/remote/manifests/v1', { method });
    const expected = statusOf(kind);
    expect(answer.status).toBe(expected);
    if (method === 'GET') {
      expect(answer.code).toBe({ 403: 'DENIED', 429: 'TOOMANYREQUESTS', 503: 'UNAVAILABLE' }[expected]);
    }
    expect(answer.headers['retry-after']).toBe({ 403: undefined, 429: '1', 503: '5' }[expected]);
    expect(await localDigest(site, 'tag/remote', 'v1')).toBeUndefined();
  });

  test('with the local registry down is passed through', async () => {
    await pushToBoth(site, name, 'v1', here);
    await site.localRelay.down();
    expectImage(await site.ask(`${name}/manifests/v1`, { method }), here);
  });

  test('with both registries down is 503', async () => {
    await Promise.all([site.relay.down(), site.localRelay.down()]);
    const answer = await site.ask('tag/remote/manifests/v1', { method });
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('5');
  });

  test('whose 200 names no digest is settled by GET and hash', async () => {
    await pushImage(site.primaryTarget(name), 'v1', moved);
    site.relay.rules.push({ dropHeaders: ['docker-content-digest', 'etag'] });
    expectImage(await site.ask(`${name}/manifests/v1`, { method }), moved);
    const asked = site.relay.requests.filter(isPath(`/${name}/manifests/v1`)).slice(0, 2);
    expect(asked.map((request) => request.method)).toEqual(['HEAD', 'GET']);
  });
});

const isHead = ({ method }: { method: string }): boolean => method === 'HEAD';
const lookUps = (name: string) => site.relay.requests.filter((one) => isHead(one) && isPath(`/${name}/`)(one));

async function digestIn(name: string): Promise<string | undefined> {
  const { status, headers } = await site.ask(`${name}/manifests/v1`);
  return status === 200 ? String(headers['docker-content-digest']) : undefined;
}

describe('a tag that was looked up before', () => {
  test('is only to be confirmed by the primary, and is the new one at once when it moved', async () => {
    await pushToBoth(site, 'tag/confirmed', 'v1', here);
    for (let times = 0; times < 3; times += 1) expect(await digestIn('tag/confirmed')).toBe(here.digest);
    const conditions = lookUps('tag/confirmed').map(({ headers }) => headers['if-none-match']);
    expect(conditions).toEqual([undefined, `"${here.digest}"`, `"${here.digest}"`]);
    await pushImage(site.primaryTarget('tag/confirmed'), 'v1', moved);
    expect(await digestIn('tag/confirmed')).toBe(moved.digest);
    await deleteManifest(site.primaryTarget('tag/confirmed'), moved.digest);
    expect(await digestIn('tag/confirmed')).toBeUndefined();
  });

  test.each([
    ['another digest', { status: 304, headers: { 'docker-content-digest': moved.digest } }],
    ['what is no digest', { status: 304, headers: { 'docker-content-digest': 'sha256:0' } }],
    ['a condition that was not met', { status: 412 }],
    ['a bad request', { status: 400 }],
    ['a method that nobody knows', { status: 501 }],
  ])('is asked for in full where the answer speaks of %s', async (what, answer) => {
    const name = `tag/misread/${what.replaceAll(' ', '-')}`;
    await pushToBoth(site, name, 'v1', here);
    expect(await digestIn(name)).toBe(here.digest);
    await pushImage(site.primaryTarget(name), 'v1', moved);
    site.relay.rules.push({ match: ({ headers }) => 'if-none-match' in headers, answer });
    expect(await digestIn(name)).toBe(moved.digest);
  });

  test('is never found by a 304 that nobody asked for', async () => {
    await pushImage(site.primaryTarget('tag/unasked'), 'v1', here);
    site.relay.rules.push({ match: isHead, answer: { status: 304 } });
    expect(await site.ask('tag/unasked/manifests/v1')).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  });
});

test('a tag that moves between the look-up and the manifest is looked up again', async () => {
  await pushImage(site.primaryTarget('tag/racing'), 'v1', here);
  site.relay.rules.push({
    match: ({ method }) => method === 'HEAD',
    times: 1,
    setHeaders: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` },
  });
  const answer = await site.ask('tag/racing/manifests/v1');
  expect({ status: answer.status, digest: answer.headers['docker-content-digest'] }).toEqual({
    status: 200,
    digest: here.digest,
  });
});

test('a manifest whose bytes are not its digest is never given out', async () => {
  await pushImage(site.primaryTarget('tag/wrong'), 'v1', moved);
  site.relay.rules.push({ match: ({ method }) => method === 'GET', corruptAt: 10 });
  expect(await site.ask('tag/wrong/manifests/v1')).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
});

test('a tag that is known to mean something new is never the old image, though the new one cannot be had', async () => {
  await pushToBoth(site, 'tag/known', 'v1', here);
  await pushImage(site.primaryTarget('tag/known'), 'v1', moved);
  site.relay.rules.push({ match: ({ method }) => method === 'GET', answer: { status: 500 } });
  const { status, code, headers } = await site.ask('tag/known/manifests/v1');
  expect({ status, code }).toEqual({ status: 503, code: 'UNAVAILABLE' });
  expect(headers['retry-after']).toBe('5');
});
