// What the page browses: groups, a repository's tags, causes and states for people, and the events, over a real store.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { askAdmin, failed, order, restartWith, whileStopped } from './admin.ts';

const digest = (letter: string): `sha256:${string}` => `sha256:${letter.repeat(64)}`;
const synced = { kind: 'synced', digest: digest('a'), bytes: 5 } as const;
const none = { pending: 0, syncing: 0, synced: 0, recheck: 0, failed: 0, unsupported: 0 };

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
  await restartWith(site, [
    { repository: 'a/b/one', reference: 'v1', outcome: failed(`blob ${digest('b')}: it is missing`) },
    { repository: 'a/b/two', reference: 'v1', outcome: failed(`blob ${digest('c')}: it is missing`) },
    { repository: 'a/b', reference: 'v1', outcome: synced },
    { repository: 'z', reference: 'v1', outcome: { kind: 'unsupported', error: 'schema 1' } },
    { repository: 'a0', reference: 'v1', outcome: synced },
  ]);
});
afterAll(() => site.close());

const get = async (path: string): Promise<unknown> => (await askAdmin(site, `/api/${path}`)).json;

test('groups are told level by level, with the states of all below', async () => {
  expect(await get('groups')).toEqual({
    parent: '',
    children: [
      { path: 'a', isRepository: false, hasChildren: true, tags: { ...none, synced: 1, failed: 2 } },
      { path: 'a0', isRepository: true, hasChildren: false, tags: { ...none, synced: 1 } },
      { path: 'z', isRepository: true, hasChildren: false, tags: { ...none, unsupported: 1 } },
    ],
    next: null,
  });
  expect(await get('groups?parent=a')).toMatchObject({
    children: [{ path: 'a/b', isRepository: true, hasChildren: true }],
  });
  expect(await get('groups?limit=1')).toMatchObject({ children: [{ path: 'a' }], next: 'a' });
  expect(await get('groups?limit=1&after=a')).toMatchObject({ children: [{ path: 'a0' }] });
});

const names = async (query: string): Promise<unknown> => {
  const page = (await get(`replication/repositories?${query}`)) as {
    repositories: { name: string }[];
    total: number;
  };
  return [page.repositories.map(({ name }) => name), page.total];
};

test('repositories are narrowed by group, text and state, sorted, and counted', async () => {
  expect(await names('group=a')).toEqual([['a/b', 'a/b/one', 'a/b/two'], 3]);
  expect(await names('search=tw')).toEqual([['a/b/two'], 1]);
  expect(await names('state=unsupported')).toEqual([['z'], 1]);
  expect(await names('sort=failed&limit=2')).toEqual([['a/b/one', 'a/b/two'], 5]);
  expect(await names('sort=failed&limit=2&after=2')).toEqual([['a/b', 'a0'], 5]);
});

test('what fails for one reason is one group, and all of its rows can be asked for', async () => {
  const { groups } = (await get('attention')) as { groups: { cause: string; count: number }[] };
  expect(groups).toMatchObject([
    { cause: 'it is missing', count: 2, sample: [{ repository: 'a/b/one' }, { repository: 'a/b/two' }] },
    { cause: 'schema 1', count: 1, kind: 'unsupported' },
  ]);
  expect(await get('replication?cause=it%20is%20missing&limit=1')).toMatchObject({ rows: [{ reference: 'v1' }] });
});

test('a repository is told with its tags; one that is not known is empty', async () => {
  expect(await get('repository?name=a/b&search=v')).toMatchObject({
    name: 'a/b',
    tags: { ...none, synced: 1 },
    rows: [{ reference: 'v1', state: 'synced', platforms: [] }],
    next: null,
  });
  expect(await get('repository?name=unknown')).toMatchObject({ tags: none, rows: [], next: null });
});

const retry = async (fields: object): Promise<unknown> => (await order(site, 'retry', fields)).json;

test('what fails for one reason is tried again, and nothing else', async () => {
  expect(await retry({ cause: 'another reason' })).toEqual({ changed: 0 });
  expect(await retry({ cause: 'it is missing', repository: 'z' })).toEqual({ changed: 0 });
  expect(await retry({ cause: 'it is missing' })).toEqual({ changed: 2 });
});

test('a tag that is not known cannot be retried', async () => {
  expect((await order(site, 'retry', { repository: 'a/b', reference: 'v9' })).status).toBe(404);
});

test('the events begin with transfers, traffic and the status', async () => {
  const leave = new AbortController();
  const { body, headers } = await fetch(`${site.proxy.adminUrl}/api/events`, { signal: leave.signal });
  expect(headers.get('content-type')).toContain('text/event-stream');
  let text = '';
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes('event: status') && text.endsWith('\n\n')) break;
  }
  leave.abort();
  expect(text.match(/^event: .*$/gm)).toEqual(
    expect.arrayContaining(['event: transfers', 'event: traffic', 'event: status']),
  );
});

test('a synced tag that is queued again is looked at again, and no longer synced or pending', async () => {
  await whileStopped(site, async (store) => {
    await store.mark([{ repository: 'a0', reference: 'v1', priority: 3 }], Date.now() + 3_000_000);
    expect((await store.counts(Date.now())).shownStates).toMatchObject({ recheck: 1, pending: 0, synced: 1 });
    const [row] = await store.list({ shownStates: ['recheck'] });
    expect(row?.repository).toBe('a0');
  });
});

test('marks of damage are removed', async () => {
  await whileStopped(site, (store) =>
    store.putBlob({ repository: 'a/b', digest: digest('d'), verifiedAt: 1, isDamaged: true }),
  );
  expect(await get('status')).toMatchObject({ damaged: 1 });
  expect((await order(site, 'clear-damaged', { digest: digest('d') })).json).toEqual({ cleared: 1 });
  expect(await get('status')).toMatchObject({ damaged: 0 });
});
