// Lists of repositories, tags and referrers, page by page, from registries that page in ways of their own.
import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { noAuthorizer } from '../../src/registry/authorizer.ts';
import { createClient } from '../../src/registry/client.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import { Transport } from '../../src/registry/transport.ts';
import {
  parseRepositories,
  walkReferrers,
  walkRepositories,
  walkTags,
  WalkFailed,
} from '../../src/replication/walk.ts';
import { scaled } from '../support/patience.ts';

type Page = { readonly body: unknown; readonly link?: string; readonly status?: number };

/** A registry that answers its lists by path and query; `/v2/` as a registry does. */
async function registryOf(answer: (url: string) => Page | undefined): Promise<{ registry: Registry; asked: string[] }> {
  const asked: string[] = [];
  const listener: RequestListener = ({ url = '' }, response) => {
    response.setHeader('content-type', 'application/json');
    if (url === '/v2/') return void response.end('{}');
    asked.push(url);
    const page = answer(url) ?? { status: 404, body: { errors: [{ code: 'NAME_UNKNOWN', message: 'unknown' }] } };
    response.statusCode = page.status ?? 200;
    if (page.link !== undefined) response.setHeader('link', page.link);
    response.end(typeof page.body === 'string' ? page.body : JSON.stringify(page.body));
  };
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const transport = new Transport({ connections: 4, connectTimeout: scaled(2_000), bodyTimeout: scaled(5_000) });
  const client = createClient({
    registry: 'primary',
    origin: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    dispatcher: transport,
    authorizer: noAuthorizer(),
    via: '1.1 test',
    onBreaker: () => undefined,
  });
  onTestFinished(async () => {
    client.breaker.stop();
    await transport.destroy();
    server.close();
  });
  return { registry: createRegistry(client), asked };
}

async function all<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const entries: T[] = [];
  for await (const page of pages) entries.push(...page);
  return entries;
}

test('tags are read to the last page', async () => {
  const { registry, asked } = await registryOf((url) => {
    if (url === '/v2/a/b/tags/list?n=1000') {
      return { body: { tags: ['v1', 'v2'] }, link: '</v2/a/b/tags/list?n=2&last=v2>; rel="next"' };
    }
    return url === '/v2/a/b/tags/list?n=2&last=v2' ? { body: { name: 'a/b', tags: ['v3'] } } : undefined;
  });
  expect(await all(walkTags(registry, 'a/b'))).toEqual(['v1', 'v2', 'v3']);
  expect(asked).toHaveLength(2);
});

test.each([[{ tags: null }], [{ name: 'a' }], [{ tags: [] }]])('%j has no tags', async (body) => {
  const { registry } = await registryOf(() => ({ body }));
  expect(await all(walkTags(registry, 'a'))).toEqual([]);
});

test('a repository that the registry does not know has no tags', async () => {
  const { registry } = await registryOf(() => undefined);
  expect(await all(walkTags(registry, 'a'))).toEqual([]);
});

test('what is no tag or no repository name is left out', async () => {
  const { registry } = await registryOf((url) =>
    url.includes('_catalog')
      ? { body: { repositories: ['good/one', 'Bad', '../etc', 5, null] } }
      : { body: { tags: ['v1', '-x', '*', 'a/b', 5, null] } },
  );
  expect(await all(walkTags(registry, 'a'))).toEqual(['v1']);
  const pages = [];
  for await (const { names } of walkRepositories(registry)) pages.push(...names);
  expect(pages).toEqual(['good/one']);
});

test.each([
  ['no JSON', '{"tags": ['],
  ['another form', { tags: 'v1' }],
])('a list of %s is a failure, not the end of the list', async (_what, body) => {
  const { registry } = await registryOf(() => ({ body }));
  await expect(all(walkTags(registry, 'a'))).rejects.toThrow(WalkFailed);
});

test('a second page that is refused is a failure', async () => {
  const { registry } = await registryOf((url) =>
    url.includes('last=')
      ? { status: 500, body: {} }
      : { body: { tags: ['v1'] }, link: '</v2/a/tags/list?last=v1>; rel="next"' },
  );
  await expect(all(walkTags(registry, 'a'))).rejects.toThrow(WalkFailed);
});

test('pages that lead in a circle have an end', async () => {
  const { registry, asked } = await registryOf((url) => {
    const next = url.includes('last=a') ? 'b' : 'a';
    return { body: { tags: [next] }, link: `</v2/a/tags/list?last=${next}>; rel="next"` };
  });
  await expect(all(walkTags(registry, 'a'))).rejects.toThrow('the same page twice');
  expect(asked.length).toBeLessThan(5);
});

test.each([
  ['of one', (url: string) => url.slice(url.indexOf('?') + 1)],
  ['back to the beginning', () => 'n=1000'],
  ['of three', (url: string) => `page=${(Number(/page=(\d)/.exec(url)?.[1] ?? 0) + 1) % 3}`],
])('empty pages that lead in a circle %s are a failure', async (_what, next) => {
  const { registry, asked } = await registryOf((url) => ({
    body: { tags: [] },
    link: `</v2/a/tags/list?${next(url)}>; rel="next"`,
  }));
  await expect(all(walkTags(registry, 'a'))).rejects.toThrow(WalkFailed);
  expect(asked.length).toBeLessThan(6);
});

test('a page that comes again under another cursor each time is a failure', async () => {
  let pages = 0;
  const { registry } = await registryOf(() => ({
    body: { tags: ['v1', 'v2'] },
    link: `</v2/a/tags/list?token=${(pages += 1)}>; rel="next"`,
  }));
  await expect(all(walkTags(registry, 'a'))).rejects.toThrow('the same page twice');
  expect(pages).toBe(2);
});

test.each([
  '<https://registry.example.com/v2/a/tags/list?token=x%2f+y>; rel="next"',
  '</repository/docker/v2/a/tags/list?token=x%2f+y>; rel="next"',
  '</v2/a/tags/list?token=x%2f+y>; title="next, \\"or not\\""; rel="next"',
])('the list goes on at the query of %s, on the registry that we know', async (link) => {
  const { registry, asked } = await registryOf((url) =>
    url.endsWith('?token=x%2f+y') ? { body: { tags: ['v2'] } } : { body: { tags: ['v1'] }, link },
  );
  expect(await all(walkTags(registry, 'a'))).toEqual(['v1', 'v2']);
  expect(asked).toEqual(['/v2/a/tags/list?n=1000', '/v2/a/tags/list?token=x%2f+y']);
});

test.each(['<https://registry.example.com/page/2>; rel="next"', '</v2/a/tags/list?page=2; rel="next"'])(
  'a next page that cannot be asked for, %s, is a failure and not the end',
  async (link) => {
    const { registry } = await registryOf(() => ({ body: { tags: ['v1'], repositories: ['a'] }, link }));
    await expect(all(walkTags(registry, 'a'))).rejects.toThrow(WalkFailed);
    await expect(async () => {
      for await (const page of walkRepositories(registry)) expect(page).toBeDefined();
    }).rejects.toThrow(WalkFailed);
  },
);

test.each([
  ['NAME_UNKNOWN', { status: 404, body: { errors: [{ code: 'NAME_UNKNOWN' }] } }],
  ['no such endpoint', { status: 404, body: '404 page not found' }],
  ['PAGINATION_NUMBER_INVALID', { status: 400, body: { errors: [{ code: 'PAGINATION_NUMBER_INVALID' }] } }],
])('%s for the second page is no end of the list, and no lack of one', async (_what, second) => {
  const subject = digestOf(Buffer.from('subject'));
  const { registry } = await registryOf((url) =>
    url.includes('last=') ? second : { body: { tags: ['v1'], manifests: [] }, link: '<?last=v1>; rel="next"' },
  );
  for (const walk of [walkTags(registry, 'a'), walkReferrers(registry, 'a', subject)]) {
    const error = await all<string>(walk).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WalkFailed);
    expect((error as WalkFailed).failure.kind).toBe('unavailable');
  }
});

test('errors with 200 are no empty list', async () => {
  const { registry } = await registryOf(() => ({ body: { errors: [{ code: 'UNAVAILABLE' }] } }));
  await expect(all(walkTags(registry, 'a'))).rejects.toThrow('errors instead of entries');
});

test('a registry that refuses our number of entries is asked without one', async () => {
  const { registry } = await registryOf((url) =>
    url.includes('n=')
      ? { status: 400, body: { errors: [{ code: 'PAGINATION_NUMBER_INVALID', message: 'too many' }] } }
      : { body: { repositories: ['a'] } },
  );
  const names = [];
  for await (const page of walkRepositories(registry)) names.push(...page.names);
  expect(names).toEqual(['a']);
});

test('a walk goes on where it was left; where that place is refused it begins again', async () => {
  const { registry, asked } = await registryOf((url) => {
    if (url.includes('last=old')) return { status: 400, body: { errors: [{ code: 'UNSUPPORTED', message: '' }] } };
    return url.includes('last=b') ? { body: { repositories: ['c'] } } : { body: { repositories: ['a', 'b', 'c'] } };
  });
  const walk = async (cursor: string): Promise<string[]> => {
    const names: string[] = [];
    for await (const page of walkRepositories(registry, { cursor })) names.push(...page.names);
    return names;
  };
  expect(await walk('last=b&n=2')).toEqual(['c']);
  expect(await walk('last=old&n=2')).toEqual(['a', 'b', 'c']);
  expect(asked).toEqual(['/v2/_catalog?last=b&n=2', '/v2/_catalog?last=old&n=2', '/v2/_catalog?n=1000']);
});

test('a place that the registry fails at again, while it answers otherwise, is given up', async () => {
  const { registry, asked } = await registryOf((url) =>
    url.includes('token=') ? { status: 500, body: {} } : { body: { repositories: ['a', 'b'] } },
  );
  const names: string[] = [];
  for await (const page of walkRepositories(registry, { cursor: 'token=expired' })) names.push(...page.names);
  expect(names).toEqual(['a', 'b']);
  expect(asked.map((url) => url.split('?')[1])).toEqual(['token=expired', 'n=1000', 'token=expired']);
});

test('a place that the registry failed at for a moment is not given up', async () => {
  let failures = 0;
  const { registry } = await registryOf((url) => {
    if (!url.includes('last=')) return { body: { repositories: ['a', 'b'] } };
    return (failures += 1) === 1 ? { status: 500, body: {} } : { body: { repositories: ['c'] } };
  });
  const names: string[] = [];
  for await (const page of walkRepositories(registry, { cursor: 'last=b' })) names.push(...page.names);
  expect(names).toEqual(['c']);
});

test('a page of very many names comes in parts, other work in between, its cursor after the last', async () => {
  const many = Array.from({ length: 300_000 }, (_, nth) => `group/${'a'.repeat(80)}/${nth}`);
  const { registry } = await registryOf((url) =>
    url.includes('last=') ? { body: {} } : { body: { repositories: many }, link: '</v2/_catalog?last=z>; rel="next"' },
  );
  const found: string[] = [];
  const cursors: (string | undefined)[] = [];
  let others = 0;
  let isWalking = true;
  const work = (): void => {
    others += 1;
    if (isWalking) setImmediate(work);
  };
  for await (const { names, cursor } of walkRepositories(registry)) {
    if (cursors.push(cursor) === 1) work();
    found.push(...names);
  }
  isWalking = false;
  expect(found).toEqual(many);
  expect(cursors.length).toBeGreaterThan(100);
  expect(others).toBeGreaterThan(100);
  expect(cursors.slice(0, -2)).toEqual(Array.from({ length: cursors.length - 2 }, () => 'n=1000'));
  expect(cursors.slice(-2)).toEqual(['last=z', undefined]);
});

test('the cursor after a page is the query of the next', async () => {
  const { registry } = await registryOf((url) =>
    url.includes('last=')
      ? { body: { repositories: ['z'] } }
      : { body: { repositories: ['a/b'] }, link: '</v2/_catalog?last=a%2Fb&n=1000>; rel="next"' },
  );
  const cursors = [];
  for await (const { cursor } of walkRepositories(registry)) cursors.push(cursor);
  expect(cursors).toEqual(['last=a%2Fb&n=1000', undefined]);
});

test('referrers are digests, page by page', async () => {
  const [subject, first, second] = ['subject', 'first', 'second'].map((text) => digestOf(Buffer.from(text)));
  const { registry } = await registryOf((url) => {
    if (!url.startsWith(`/v2/a/referrers/${subject}`)) return undefined;
    return url.includes('page=2')
      ? { body: { manifests: [{ digest: second }, { digest: 'nonsense' }] } }
      : { body: { manifests: [{ digest: first }] }, link: `</v2/a/referrers/${subject}?page=2>; rel="next"` };
  });
  expect(await all(walkReferrers(registry, 'a', subject!))).toEqual([first, second]);
});

test('a file of repositories may have comments and empty lines, and nothing else', () => {
  expect(parseRepositories('# ours\ngroup/a\n\n  group/b  # the second\r\n')).toEqual(['group/a', 'group/b']);
  expect(() => parseRepositories('group/a\nGroup/B\n')).toThrow('"Group/B" is no repository name');
});
