// What the admin API takes, and the line that it refuses everything else with.
import { expect, test } from 'vitest';
import type { Administration } from '../../src/status/administration.ts';
import { startListener } from './listener.ts';

interface Asked {
  readonly status: number;
  readonly error: string;
  /** What the administration was asked, with all that is no function. */
  readonly given: unknown;
}

/** Asks a listener; what it gives the administration is caught. */
async function ask(method: 'GET' | 'POST', path: string, body?: string): Promise<Asked> {
  let given: unknown;
  const take = async (...args: unknown[]): Promise<never> => {
    given = args.length === 1 ? args[0] : args;
    return {} as never;
  };
  const administration = { list: take, listRepositories: take, retry: take, verify: take, backfill: take };
  const listener = startListener({
    administration: administration as unknown as Partial<Administration>,
    views: { clearDamaged: take, browse: { repository: take, groups: take } },
  });
  const answer = await listener.inject({ method, url: path, ...(body === undefined ? {} : { body }) });
  const { error = '' } = JSON.parse(answer.body) as { error?: string };
  return { status: answer.statusCode, error, given };
}

const get = (path: string): Promise<Asked> => ask('GET', path);
const rows = (query: string): Promise<Asked> => get(`/api/replication?${query}`);
const repositories = (query: string): Promise<Asked> => get(`/api/replication/repositories?${query}`);

test('an empty query asks for the first hundred', async () => {
  expect((await rows('')).given).toEqual({ limit: 100 });
  expect((await repositories('')).given).toEqual({ limit: 100, sort: 'name' });
});

test('a query names all that a listing can be narrowed by', async () => {
  const query = 'state=failed,%20unsupported&repository=group/*&held=true&waiting=false&after=7&limit=1000&cause=a%20b';
  expect((await rows(query)).given).toMatchObject({
    states: ['failed', 'unsupported'],
    repositories: { text: 'group/*' },
    held: true,
    waiting: false,
    after: 7,
    limit: 1000,
    cause: 'a b',
  });
  expect((await rows('state=failed&state=recheck&held=false')).given).toMatchObject({
    states: ['failed', 'recheck'],
    held: false,
  });
  expect((await repositories('repository=a/*&failed=true&after=a/b&limit=7')).given).toMatchObject({
    repositories: { text: 'a/*' },
    failed: true,
    after: 'a/b',
    limit: 7,
  });
  expect((await repositories('group=a&search=&state=&sort=syncedAt')).given).toEqual({
    group: 'a',
    sort: 'syncedAt',
    limit: 100,
  });
  expect((await get('/api/repository?name=a/b&search=v1&state=synced&after=3&limit=5')).given).toEqual({
    name: 'a/b',
    search: 'v1',
    state: 'synced',
    after: 3,
    limit: 5,
  });
});

test.each([
  ['state=broken', 'state: "broken" is not one of pending, syncing, synced, recheck, failed, unsupported'],
  ['state=', /^state: ""/],
  ['status=failed', /^query: "status" is unknown; give state, repository/],
  ['limit=0', 'limit: 0 is not a whole number from 1 to 1000'],
  ['limit=1001', /^limit: /],
  ['limit=many', 'limit: "many" is not a whole number from 1 to 1000'],
  ['limit=1&limit=2', 'limit: given 2 times; give it once'],
  ['after=-1', /^after: /],
  ['after=99999999999999999999', /^after: /],
  ['held=yes', 'held: "yes" is not true or false'],
  ['cause=', /^cause: ""/],
  ['repository=Group/App', /^repository: "Group\/App" has upper case.*; allowed: /],
  ['repository=', /^repository: "" names no repository; allowed: /],
  ['repository=%20,%20', /^repository: .* names no repository/],
  ['repository=%3Cscript%3E', /^repository: "<script>" has characters/],
  ['repository=a//b', /^repository: .*empty segment/],
])('a listing refuses %s with a line that says where and what', async (query, message) => {
  const { status, error } = await rows(query);
  expect(status).toBe(400);
  expect(error).toMatch(message);
});

test.each([
  ['status=failed', /^query: "status" is unknown; give repository, failed, group, search, state, sort, after, limit/],
  ['repository=a/b&repository=a/c', 'repository: given 2 times; give it once'],
  ['failed=', 'failed: "" is not true or false'],
  ['after=', /^after: ""/],
  ['sort=size', 'sort: "size" is not one of name, failed, pending, syncedAt'],
])('a listing of repositories refuses %s', async (query, message) => {
  expect((await repositories(query)).error).toMatch(message);
});

test.each([
  ['/api/repository', 'name: it is missing; give it'],
  ['/api/image?repository=a/b', 'reference: it is missing; give it'],
  ['/api/traffic?window=year', 'window: "year" is not one of hour, day'],
  ['/api/pulls?limit=x', /^limit: "x"/],
  ['/api/attention?x=1', 'query: "x" is unknown; give nothing'],
])('%s is refused', async (path, message) => {
  const { status, error } = await get(path);
  expect(status).toBe(400);
  expect(error).toMatch(message);
});

const order = (name: string, query = '', body?: string): Promise<Asked> =>
  ask('POST', `/api/replication/${name}${query}`, body);

test.each([undefined, '', '{}'])('an order means all repositories unless some are named: %j', async (body) => {
  expect(await order('retry', '', body)).toMatchObject({ status: 202, given: undefined });
});

test.each([
  ['?repository=group/*', undefined],
  ['', '{"repository":"group/*"}'],
])('an order is narrowed by query or body: %j %j', async (query, body) => {
  expect((await order('retry', query, body)).given).toMatchObject({ text: 'group/*' });
});

test('an order may be for one tag or manifest', async () => {
  const body = '{"repository":"group/app","reference":"v1"}';
  for (const name of ['retry', 'backfill']) {
    expect((await order(name, '', body)).given).toMatchObject({ exact: 'group/app', reference: 'v1' });
  }
  expect((await order('clear-damaged', '', '{"repository":"a/b","digest":"x"}')).given).toEqual({
    repository: 'a/b',
    digest: 'x',
  });
});

test.each([
  ['?rehash=true', '', true],
  ['', '{"rehash":true}', true],
  ['?repository=group/*', '{"rehash":false}', false],
  ['', '{}', undefined],
])('a verification may be told to read everything: %j %s', async (query, body, rehash) => {
  const { given } = await order('verify', query, body);
  expect((given as unknown[])[1]).toEqual({ rehash });
});

test.each([
  ['verify', '?rehash=yes', '', 'rehash: "yes" is not true or false'],
  ['verify', '', '{"rehash":"maybe"}', 'rehash: "maybe" is not true or false'],
  ['verify', '?rehash=true', '{"rehash":true}', /^rehash: given in the query and in the body/],
  ['retry', '', 'repository=group', 'body: it is no JSON; give {"repository":"group/project"}, or nothing'],
  ['retry', '', '"group"', /^body: "group" is no object/],
  ['retry', '', '{"repo":"group"}', 'body: "repo" is unknown; give repository, reference, cause or nothing'],
  ['retry', '', '{"rehash":true}', /^body: "rehash" is unknown/],
  ['retry', '?rehash=true', '', /^query: "rehash" is unknown/],
  ['retry', '', '{"repository":{}}', /^repository: \{\} is not a text/],
  ['retry', '', '{"repository":""}', /^repository: "" names no repository/],
  ['retry', '', '{"repository":null}', /^repository: /],
  ['retry', '?repo=group', '', /^query: "repo" is unknown/],
  ['retry', '?repository=a', '{"repository":"b"}', /^repository: given in the query and in the body/],
  ['retry', '', '{"reference":"v1"}', 'reference: give its repository, too'],
  ['retry', '', '{"repository":"a/*","reference":"v1"}', 'reference: give one repository with it'],
])('%s refuses %j %s: it must not mean everything', async (name, query, body, message) => {
  const { status, error, given } = await order(name, query, body);
  expect({ status, given }).toEqual({ status: 400, given: undefined });
  expect(error).toMatch(message);
});

test('a long value is cut in what is said of it', async () => {
  expect((await rows(`state=${'x'.repeat(10_000)}`)).error.length).toBeLessThan(400);
  expect((await rows(`repository=${'X'.repeat(4_000)}`)).error.length).toBeLessThan(600);
});
