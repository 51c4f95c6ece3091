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
  await expect(all(walkTags(registry, 'a'))).rejects.toThrow('no end');
  expect(asked.length).toBeLessThan(5);
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
  expect(asked).toEqual(['/v2/_catalog?last=b&n=2', '/v2/_catalog?last=old&n=2', '/v2/_catalog']);
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
