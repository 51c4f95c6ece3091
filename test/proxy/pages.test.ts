// Pages of lists: a Link leads on within the same list of ours, whatever it looks like, and no list ends early.
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

const cursorOf = (query: string): string => `geo=${Buffer.from(query, 'latin1').toString('base64url')}`;

/** The queries with which the primary was asked for a list. */
function asked(path: string): (string | undefined)[] {
  const requests = site.relay.requests.map((each) => each.path.split('?'));
  return requests.filter(([list]) => list === `/v2/${path}`).map(([, query]) => query);
}

describe.each(['tags', 'catalog', 'referrers'])('of the Link of %s', (kind) => {
  const path = { tags, catalog: '_catalog', referrers }[kind]!;
  const own = `/v2/${path}`;
  const answerTo = async (link: string): Promise<Answer> => {
    const answered = { status: 200, headers: { 'content-type': 'application/json', link }, body: '{}' };
    site.relay.rules.push({ match: ({ path: list }) => list.startsWith(own), answer: answered });
    const answer = await ask(`${path}?n=2`);
    site.relay.reset();
    return answer;
  };
  const linkFor = async (link: string): Promise<string | undefined> => {
    const { status, headers } = await answerTo(link);
    expect({ status, warning: headers['warning'] }).toEqual({ status: 200, warning: undefined });
    return headers['link'];
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
    ['to the registry’s public name', `<https://registry.example.com${own}?n=2&last=b>; rel="next"`],
    ['to another host without a scheme', `<//10.0.0.1:8081${own}?n=2&last=b>; rel="next"`],
    ['through the prefix of a load balancer', `</artifactory/api/docker/main${own}?n=2&last=b>; rel="next"`],
    ['through what is no path of a registry', '</x/../y?n=2&last=b>; rel="next"'],
    ['with a comma in another parameter', `<${own}?n=2&last=b>; title="a, b"; rel="next"`],
    ['with quotes in another parameter', `<${own}?n=2&last=b>; title="a \\"b\\", <c>; rel=prev"; rel="next"`],
    ['with a parameter without a value', `<${own}?n=2&last=b>; crossorigin; rel="next"`],
    ['with several relations', `<${own}?n=2&last=b>; rel="last NEXT"`],
    ['without a relation', `<${own}?n=2&last=b>`],
  ])('one that leads on %s is asked of our own registry', async (_how, link) => {
    expect(await linkFor(link)).toBe(next);
  });

  test.each([
    ['to the page itself', `<${own}?n=2>; rel="next"`],
    ['without a query', `<${own}>; rel="next"`],
    ['to a page that is a path', `<${own}/pages/2>; rel="next"`],
    ['to nothing', '<>; rel="next"'],
    ['to a script', '<javascript:alert(1)>; rel="next"'],
    ['without an end', `<${own}?n=2&last=b; rel="next"`],
    ['without angle brackets', `${own}?n=2&last=b; rel="next"`],
    ['with an open quote', `<${own}?n=2&last=b>; title="x; rel="next"`],
    ['further than URLs go', `<${own}?n=2&last=${'b'.repeat(5_000)}>; rel="next"`],
  ])('one that leads on %s makes no whole list of the page', async (_how, link) => {
    const { status, headers } = await answerTo(link);
    // The local catalog stands in; of this repository nothing is here.
    expect({ status, isLocal: headers['warning'] !== undefined }).toEqual(
      kind === 'catalog' ? { status: 200, isLocal: true } : { status: 503, isLocal: false },
    );
  });

  test.each([`<${own}?n=2&last=a>; rel="prev"`, '</style.css>; rel=preload; as=style', '</x>; rel="nextish"', '', 'x'])(
    'one that says nothing of a next page, %s, ends the list',
    async (link) => {
      expect(await linkFor(link)).toBeUndefined();
    },
  );
});

describe.each(['tags', 'catalog', 'referrers'])('of %s that go on by a cursor of the registry’s own', (kind) => {
  const path = { tags, catalog: '_catalog', referrers }[kind]!;
  const own = `/v2/${path}`;
  // As ECR, Artifactory and others have them: encoded in ways that would not survive being read and written again.
  const cursors = [
    'nextToken=a%2fb+c%20d==&x',
    'page=2&per_page=1',
    'last=%FF&n=1&after=é',
    'n=1&n=2&last=b',
    'geo=eA',
  ];

  function givePages(): void {
    for (const [nth, query] of ['', ...cursors].entries()) {
      const next = cursors[nth];
      const headers = {
        'content-type': 'application/json',
        ...(next && { link: `<https://elsewhere/?${next}>; rel="next"` }),
      };
      const wire = query.replace('é', '%C3%A9');
      site.relay.rules.push({
        match: (request) => request.path === (wire === '' ? own : `${own}?${wire}`),
        answer: { status: 200, headers, body: JSON.stringify({ page: nth }) },
      });
    }
  }

  test('a client that follows our Link gets every page once', async () => {
    givePages();
    const found: unknown[] = [];
    let next: string | undefined = path;
    for (let pages = 0; next !== undefined && pages < 10; pages += 1) {
      const answer: Answer = await ask(next);
      found.push((JSON.parse(answer.body.toString()) as { page: number }).page);
      next = /^<\/v2\/([^>]+)>; rel="next"$/.exec(answer.headers['link'] ?? '')?.[1];
      if (next !== undefined) expect(next).toMatch(/\?geo=[\w-]+$/);
    }
    expect(found).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('no local list goes on where the primary’s was broken off', async () => {
    site.localRelay.rules.push({ answer: { status: 200, headers: {}, body: '{"tags":["v1"],"repositories":["a"]}' } });
    givePages();
    const { headers } = await ask(path);
    const next = /^<\/v2\/([^>]+)>/.exec(headers['link']!)![1]!;
    await site.relay.down();
    expect(await ask(next)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
    expect(await ask(`${path}?next_page=abc`)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  });

  test('a local list that goes on so stands in for nothing', async () => {
    await site.relay.down();
    const headers = { link: `<${own}?page=2>; rel="next"` };
    site.localRelay.rules.push({ answer: { status: 200, headers, body: '{}' } });
    expect(await ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
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

  test('a cursor of ours goes behind the path of its list, and nowhere else', async () => {
    await ask(`${tags}?n=5&${cursorOf('x=/../../_catalog?y&z=//evil.example.com/')}&last=b`);
    expect(site.relay.requests.map((request) => request.path)).toEqual([
      `/v2/${tags}?x=/../../_catalog?y&z=//evil.example.com/`,
    ]);
  });

  test.each([
    ['empty', 'geo='],
    ['no base64url', 'geo=a+b%2F'],
    ['of a line end', cursorOf('a\r\nX-Evil: 1')],
    ['of a space', cursorOf('a HTTP/1.1')],
    ['of a fragment', cursorOf('a#b')],
    ['of bytes that are no text', cursorOf('a\xff\0')],
    ['too long', cursorOf('a'.repeat(4_097))],
  ])('a cursor that is %s is 400, without a word to the primary', async (_what, query) => {
    for (const path of [tags, '_catalog', referrers]) {
      expect(await ask(`${path}?${query}`)).toMatchObject({ status: 400, code: 'UNSUPPORTED' });
    }
    expect(site.relay.count() + site.localRelay.count()).toBe(0);
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
