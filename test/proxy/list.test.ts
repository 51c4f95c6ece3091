// Tags, referrers and the catalog: the primary's, page by page, or the local list where the primary cannot be asked.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { deleteManifest, pushBlob, pushImage } from '../support/push.ts';
import type { RelayRule } from '../support/relay-rule.ts';
import { calm, pushToBoth } from './local-copy.ts';
import { answering, notPing, statusOf, troubles } from './trouble.ts';
import { scaled } from '../support/patience.ts';

let site: ProxySite;
const pushed = image('listed');
const json = { 'content-type': 'application/json' };

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_PRIMARY_TIMEOUT: `${scaled(300)}ms` } });
  await pushToBoth(site, 'list/both', 'v1', pushed);
  await pushImage(site.primaryTarget('list/both'), 'v2', pushed);
  await pushImage(site.primaryTarget('list/remote'), 'v1', pushed);
  await pushImage(site.primaryTarget('list/emptied'), 'v1', pushed);
  await pushImage(site.secondaryTarget('list/here'), 'v1', pushed);
  await pushBlob(site.primaryTarget('list/layers'), pushed.blobs[0]!);
});
afterEach(() => calm(site));
afterAll(() => site.close());

const atPrimary = ['list/both', 'list/emptied', 'list/layers', 'list/remote'];
const catalogToken = (): string => site.tokenFor([{ type: 'registry', name: 'catalog', actions: ['*'] }]);
const catalog = (query = ''): Promise<Answer> => site.ask(`_catalog${query}`, { token: catalogToken() });
const parsed = ({ body }: Answer): unknown => JSON.parse(body.toString());

const ofReferrers = ({ path }: { path: string }): boolean => path.includes('/referrers/');

/** A rule that answers a list with this body and these headers. */
function giving(body: object, headers: Record<string, string> = {}): RelayRule {
  return { match: notPing, answer: { status: 200, headers: { ...json, ...headers }, body: JSON.stringify(body) } };
}

describe('tags', () => {
  test('are the primary’s', async () => {
    const answer = await site.ask('list/both/tags/list');
    expect(answer.status).toBe(200);
    expect((parsed(answer) as { tags: string[] }).tags.sort()).toEqual(['v1', 'v2']);
    expect(answer.headers).toMatchObject({
      'cache-control': 'private',
      'content-type': 'application/json; charset=utf-8',
    });
    expect(answer.headers['warning']).toBeUndefined();
    expect(site.localRelay.count()).toBe(0);
  });

  test('of a repository that is nowhere are 404', async () => {
    expect(await site.ask('list/nowhere/tags/list')).toMatchObject({ status: 404, code: 'NAME_UNKNOWN' });
  });

  test.each(troubles)('are the local ones, with a warning, where the primary %s', async (_what, rule, kind) => {
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    const answer = await site.ask('list/both/tags/list');
    expect(answer.status).toBe(200);
    expect(parsed(answer)).toEqual({ name: 'list/both', tags: ['v1'] });
    expect(answer.headers['warning']).toBe(
      `299 - "the primary registry could not be asked (${kind}); this is the local copy"`,
    );
  });

  test.each(troubles)('that are not here are no 404 where the primary %s', async (_what, rule, kind) => {
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    const { status } = await site.ask('list/remote/tags/list');
    expect(status).toBe(statusOf(kind));
  });

  test('of a slow primary do not stop its other answers', async () => {
    site.relay.rules.push({ match: ({ path }) => path.includes('/tags/list'), hang: true });
    for (let times = 0; times < 6; times += 1) {
      expect((await site.ask('list/both/tags/list')).headers['warning']).toBeDefined();
    }
    const { status, headers } = await site.ask('list/both/manifests/v1');
    expect({ status, warning: headers['warning'] }).toEqual({ status: 200, warning: undefined });
  });

  test('that the primary answers with a text 404 are the local ones', async () => {
    site.relay.rules.push({
      match: notPing,
      answer: { status: 404, headers: { 'content-type': 'text/plain' }, body: '404 page not found\n' },
    });
    expect(parsed(await site.ask('list/both/tags/list'))).toEqual({ name: 'list/both', tags: ['v1'] });
  });

  test('come byte for byte', async () => {
    const body = '{"name":"list/both" ,\n"tags":["b","a","b"],"child":[],"manifest":{"x":{"tag":["b"]}}}\n';
    site.relay.rules.push({ match: notPing, answer: { status: 200, headers: json, body } });
    expect((await site.ask('list/both/tags/list')).body.toString()).toBe(body);
  });

  test('are null as soon as all are gone', async () => {
    const list = async (): Promise<unknown> => parsed(await site.ask('list/emptied/tags/list'));
    expect(await list()).toEqual({ name: 'list/emptied', tags: ['v1'] });
    await deleteManifest(site.primaryTarget('list/emptied'), pushed.digest);
    // Distribution's own word for a repository whose tags are all gone.
    expect(await list()).toEqual({ name: 'list/emptied', tags: null });
  });

  test('of a repository that only we have, or that has blobs only, are 404 as at the primary', async () => {
    for (const name of ['list/here', 'list/layers']) {
      expect(await site.ask(`${name}/tags/list`)).toMatchObject({ status: 404, code: 'NAME_UNKNOWN' });
    }
  });

  test('of HEAD have no body', async () => {
    const answer = await site.ask('list/both/tags/list', { method: 'HEAD' });
    expect({ status: answer.status, length: answer.body.length }).toEqual({ status: 200, length: 0 });
  });
});

describe('pages', () => {
  test.each([
    ['relative', '</v2/list/both/tags/list?last=v1&n=1>; rel="next"'],
    ['of the primary’s own address', () => `<${site.relay.url}/v2/list/both/tags/list?last=v1&n=1>; rel="next"`],
    [
      'with another scheme',
      () => `<${site.relay.url.replace('http:', 'https:')}/v2/list/both/tags/list?last=v1&n=1>; rel=next`,
    ],
    ['without a path', '<?last=v1&n=1>; rel="next"'],
    ['encoded', '</v2/list%2Fboth/tags/list?last=v1&n=1>; rel="next"'],
    ['among others', '</x>; rel="help", </v2/list/both/tags/list?last=v1&n=1>; rel="next"'],
  ])('go on by a Link that is %s', async (_what, link) => {
    site.relay.rules.push(giving({ tags: ['v1'] }, { link: typeof link === 'string' ? link : link() }));
    const { headers } = await site.ask('list/both/tags/list?n=1');
    expect(headers['link']).toBe('</v2/list/both/tags/list?last=v1&n=1>; rel="next"');
  });

  test('of the catalog lead from one to the next to the end', async () => {
    const names: string[] = [];
    let query = '?n=1';
    for (let pages = 0; query !== '' && pages < 10; pages += 1) {
      const answer = await catalog(query);
      names.push(...(parsed(answer) as { repositories: string[] }).repositories);
      query = /<\/v2\/_catalog(\?[^>]*)>/.exec(answer.headers['link'] ?? '')?.[1] ?? '';
    }
    expect(names).toEqual(atPrimary);
  });

  test.each(['n=-1', 'n=x', 'n=', 'n=1.5', 'n=99999999999999999999'])('of %s are 400', async (query) => {
    const answer = await site.ask(`list/both/tags/list?${query}`);
    expect({ status: answer.status, code: answer.code }).toEqual({ status: 400, code: 'PAGINATION_NUMBER_INVALID' });
    expect(site.relay.count()).toBe(0);
  });

  test('larger than the registry gives are its 400', async () => {
    expect(await catalog('?n=500000')).toMatchObject({ status: 400, code: 'PAGINATION_NUMBER_INVALID' });
  });

  test('are asked with the list’s own parameters and no others', async () => {
    site.relay.rules.push(giving({ tags: [] }));
    await site.ask('list/both/tags/list?ns=docker.io&n=5&last=a%26b%3Dc&x=%0d%0aEvil:1&next_page=abc');
    expect(site.relay.requests[0]!.path).toBe('/v2/list/both/tags/list?n=5&last=a%26b%3Dc&next_page=abc');
  });
});

describe('referrers', () => {
  const path = `list/both/referrers/${pushed.digest}`;
  test('of a registry without them are 404, never an empty 200', async () => {
    const answer = await site.ask(path);
    expect(answer.status).toBe(404);
    expect(answer.code).toBeDefined();
  });

  test('that the primary does not have are 404 also where the local registry has some', async () => {
    site.localRelay.rules.push({ ...giving({ manifests: [] }), match: ofReferrers });
    expect(await site.ask(path)).toMatchObject({ status: 404, code: 'UNSUPPORTED' });
  });

  test('of a registry with them are passed on, with the filters that it applied', async () => {
    const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
    const headers = { 'content-type': index.mediaType, 'oci-filters-applied': 'artifactType' };
    site.relay.rules.push({ ...giving(index, headers), match: ofReferrers });
    const answer = await site.ask(`${path}?artifactType=application%2Fvnd.example`);
    expect(parsed(answer)).toEqual(index);
    expect(answer.headers).toMatchObject(headers);
    expect(site.relay.requests[0]!.path).toBe(`/v2/${path}?artifactType=application%2Fvnd.example`);
  });

  test('that are not filtered do not say that they are', async () => {
    site.relay.rules.push({ ...giving({ manifests: [] }), match: ofReferrers });
    const { status, headers } = await site.ask(`${path}?artifactType=x`);
    expect({ status, filters: headers['oci-filters-applied'] }).toEqual({ status: 200, filters: undefined });
  });

  test('of what the primary does not know are its 404', async () => {
    site.relay.rules.push(answering(404, 'NAME_UNKNOWN', { match: ofReferrers }));
    expect(await site.ask(path)).toMatchObject({ status: 404, code: 'NAME_UNKNOWN' });
  });

  test('are not known where the primary cannot be asked', async () => {
    await site.relay.down();
    expect(await site.ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  });

  test('are the local ones, with a warning, where the primary cannot be asked', async () => {
    const index = { schemaVersion: 2, manifests: [] };
    site.localRelay.rules.push({ ...giving(index), match: ofReferrers });
    await site.relay.down();
    const answer = await site.ask(path);
    expect(parsed(answer)).toEqual(index);
    expect(answer.headers['warning']).toContain('299');
  });
});

describe('the catalog', () => {
  test('is the primary’s', async () => {
    expect(parsed(await catalog())).toEqual({ repositories: atPrimary });
  });

  test.each([
    ['cannot be reached', 'down'],
    ['has none', { match: notPing, answer: { status: 404, body: '404 page not found' } }],
    ['refuses it', answering(403, 'DENIED', { match: notPing })],
    ['does not do that', { match: notPing, answer: { status: 405 } }],
  ] as const)('is the local one, with a warning, where the primary %s', async (_what, rule) => {
    if (rule === 'down') await site.relay.down();
    else site.relay.rules.push({ ...rule });
    const answer = await catalog();
    expect(parsed(answer)).toEqual({ repositories: ['list/both', 'list/here'] });
    expect(answer.headers['warning']).toContain('299');
  });
});

test.each(['a list', [1, 2], 'not JSON at all'])('a 200 that is no list, %s, is none', async (body) => {
  const text = body === 'not JSON at all' ? body : JSON.stringify(body);
  site.relay.rules.push({ match: notPing, answer: { status: 200, headers: json, body: text } });
  const answer = await site.ask('list/both/tags/list');
  expect(parsed(answer)).toEqual({ name: 'list/both', tags: ['v1'] });
});

test('a list over 32 MiB is none', async () => {
  const body = `{"tags":["${'x'.repeat(33 * 1024 * 1024)}"]}`;
  site.relay.rules.push({ match: notPing, answer: { status: 200, headers: json, body } });
  const answer = await site.ask('list/both/tags/list');
  expect(parsed(answer)).toEqual({ name: 'list/both', tags: ['v1'] });
});

test('with both registries down no list is known', async () => {
  await Promise.all([site.relay.down(), site.localRelay.down()]);
  const answers = [await site.ask('list/both/tags/list'), await catalog()];
  for (const answer of answers) expect(answer).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
});

test('a list that breaks off is none', async () => {
  site.relay.rules.push({ match: notPing, cutAfter: 5 });
  expect((await site.ask('list/both/tags/list')).headers['warning']).toContain('299');
});
