// Pages of lists: a Link leads on within the same list of ours or nowhere, and only what pages a list reaches a registry.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { calm } from './local-copy.ts';

let site: ProxySite;
const name = 'pages/images';
const pushed = image('pages');
const tags = `${name}/tags/list`;
const referrers = `${name}/referrers/${pushed.digest}`;
const here = ['pages/a', 'pages/b', 'pages/c'];

beforeAll(async () => {
  site = await startProxySite();
  await pushImage(site.primaryTarget(name), 'v1', pushed);
  for (const each of here) await pushImage(site.secondaryTarget(each), 'v1', pushed);
});
afterEach(() => calm(site));
afterAll(() => site.close());

function ask(path: string): Promise<Answer> {
  const token = site.tokenFor([{ type: 'registry', name: 'catalog', actions: ['*'] }]);
  return site.ask(path, path.startsWith('_catalog') ? { token } : {});
}

/** The queries with which the primary was asked for a list. */
function asked(path: string): (string | undefined)[] {
  const requests = site.relay.requests.map((each) => each.path.split('?'));
  return requests.filter(([list]) => list === `/v2/${path}`).map(([, query]) => query);
}

describe.each(['tags', 'catalog', 'referrers'])('of the Link of %s', (kind) => {
  const path = { tags, catalog: '_catalog', referrers }[kind]!;
  const own = `/v2/${path}`;
  const linkFor = async (link: string): Promise<string | undefined> => {
    const answered = { status: 200, headers: { 'content-type': 'application/json', link }, body: '{}' };
    site.relay.rules.push({ match: ({ path: list }) => list.startsWith(own), answer: answered });
    const answer = await ask(`${path}?n=2`);
    expect(answer.status).toBe(200);
    site.relay.reset();
    return answer.headers['link'];
  };
  const next = `<${own}?n=2&last=b>; rel="next"`;

  test('a relative one passes', async () => {
    expect(await linkFor(next)).toBe(next);
    expect(await linkFor('<?n=2&last=b>; rel="next"')).toBe(next);
    expect(await linkFor(`<${own}?n=2&last=b>; rel=next`)).toBe(next);
    expect(await linkFor(`<${own}?n=2&last=b>; title="x"; rel="next"`)).toBe(next);
  });

  test('an absolute one of the primary’s host becomes ours', async () => {
    for (const scheme of ['http', 'https']) {
      expect(await linkFor(`<${scheme}://${new URL(site.relay.url).host}${own}?n=2&last=b>; rel="next"`)).toBe(next);
    }
  });

  test('the next page is found among others', async () => {
    expect(await linkFor(`<${own}?n=2>; rel="first", <${own}?n=2&last=b>; rel="next"`)).toBe(next);
    expect(await linkFor(`<${own}?n=2&last=a>; rel="prev", <${own}?n=2&last=b>; rel="next"`)).toBe(next);
  });

  test('a slash that is encoded is one', async () => {
    const encoded = own.replace('pages/', 'pages%2F');
    expect(await linkFor(`<${encoded}?n=2&last=b>; rel="next"`)).toBe(next);
  });

  test('what would leave the header is encoded', async () => {
    const link = await linkFor(`<${own}?n=2&last=a"b c>; rel="next"`);
    expect(link).toBe(`<${own}?n=2&last=a%22b%20c>; rel="next"`);
  });

  test.each([
    ['another host', `<https://evil.example.com${own}?n=2&last=b>; rel="next"`],
    ['another host without a scheme', `<//evil.example.com${own}?n=2&last=b>; rel="next"`],
    ['another path', '</v2/other/repository/tags/list?n=2&last=b>; rel="next"'],
    ['a path above', `<${own}/../../x?n=2>; rel="next"`],
    ['a script', '<javascript:alert(1)?n=2>; rel="next"'],
    ['the page itself', `<${own}?n=2>; rel="next"`],
    ['the page before', `<${own}?n=2&last=a>; rel="prev"`],
    ['nothing', '<>; rel="next"'],
    ['no query', `<${own}>; rel="next"`],
    ['no URL', '<http://[>; rel="next"'],
    ['no Link at all', 'next'],
  ])('one that leads to %s is left out', async (_where, link) => {
    expect(await linkFor(link)).toBeUndefined();
  });
});

describe('of a query', () => {
  test('what pages a list reaches the primary, all else ends here', async () => {
    await ask(`${tags}?last=v1&ns=docker.io&n=5&x=y&access_token=z#f`);
    await ask(`_catalog?n=5&last=pages%2Fa&service=x`);
    await ask(`${referrers}?artifactType=application%2Fspdx%2Bjson&evil=1`);
    expect(asked(tags)).toEqual(['n=5&last=v1']);
    expect(asked('_catalog')).toEqual(['n=5&last=pages%2Fa']);
    expect(asked(referrers)).toEqual(['artifactType=application%2Fspdx%2Bjson']);
  });

  test('n is 0 where it says so', async () => {
    expect((await ask(`${tags}?n=0`)).status).toBe(200);
    expect(asked(tags)).toEqual(['n=0']);
  });

  test.each(['abc', '-1', '+1', '1.5', '1e3', '0x10', '', '%20', '1%00', '٣', '9999999999', 'NaN', 'n=5'])(
    'n=%s is 400 for every list, without a word to the primary',
    async (n) => {
      for (const path of [tags, '_catalog', referrers]) {
        expect(await ask(`${path}?n=${encodeURI(n).replaceAll('%25', '%')}`)).toMatchObject({
          status: 400,
          code: 'PAGINATION_NUMBER_INVALID',
        });
      }
      expect(site.relay.count() + site.localRelay.count()).toBe(0);
    },
  );
});

test('the pages of the local catalog, where the primary cannot be asked, lead on to their end', async () => {
  await site.relay.down();
  const found: string[] = [];
  let next: string | undefined = '_catalog?n=1';
  for (let pages = 0; next !== undefined && pages <= here.length; pages += 1) {
    const answer: Answer = await ask(next);
    expect(answer.headers['warning']).toMatch(/^299 - "/);
    found.push(...(JSON.parse(answer.body.toString()) as { repositories: string[] }).repositories);
    next = /^<\/v2\/([^>]+)>; rel="next"$/.exec(answer.headers['link'] ?? '')?.[1];
  }
  expect(found).toEqual(here);
});
