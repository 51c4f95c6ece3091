import { expect, test } from 'vitest';
import { parseRepositoryFilter } from '../../src/config/repository-filter.ts';
import { InvalidInput, parseOrder, parseRepositoryQuery, parseRowQuery, type Query } from '../../src/status/input.ts';

const rowQuery = (query: Query): unknown => parseRowQuery(query, parseRepositoryFilter);
const repositoryQuery = (query: Query): unknown => parseRepositoryQuery(query, parseRepositoryFilter);
const order = (query: Query, body?: unknown): unknown => parseOrder(query, body, parseRepositoryFilter);
const verification = (query: Query, body?: unknown): unknown =>
  parseOrder(query, body, parseRepositoryFilter, { mayRehash: true });

function refusal(parse: () => unknown): string {
  try {
    return JSON.stringify(parse());
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidInput);
    return (error as Error).message;
  }
}

test('an empty query asks for the first hundred rows', () => {
  expect(rowQuery({})).toEqual({ limit: 100 });
});

test('a query names all that a listing can be narrowed by', () => {
  const query = {
    state: 'failed, unsupported',
    repository: 'group/*',
    held: 'true',
    waiting: 'false',
    after: '7',
    limit: '1000',
  };
  expect(rowQuery(query)).toMatchObject({
    states: ['failed', 'unsupported'],
    repositories: { text: 'group/*' },
    held: true,
    waiting: false,
    after: 7,
    limit: 1000,
  });
  expect(rowQuery({ state: ['failed', 'pending'], held: 'false' })).toMatchObject({
    states: ['failed', 'pending'],
    held: false,
  });
});

test.each<[Query, RegExp]>([
  [{ state: 'broken' }, /^state: "broken" is unknown; give pending, syncing, synced, failed, unsupported$/],
  [{ state: '' }, /^state: ""/],
  [{ status: 'failed' }, /^query: "status" is unknown; give state, repository/],
  [{ limit: '0' }, /^limit: "0" is no whole number from 1 to 1000/],
  [{ limit: '1001' }, /^limit: /],
  [{ limit: '1e2' }, /^limit: /],
  [{ limit: ['1', '2'] }, /^limit: given 2 times; give it once$/],
  [{ after: '-1' }, /^after: /],
  [{ after: '99999999999999999999' }, /^after: /],
  [{ held: 'yes' }, /^held: "yes" is unknown; give true or false/],
  [{ repository: 'Group/App' }, /^repository: "Group\/App" has upper case.*; allowed: /],
  [{ repository: '' }, /^repository: "" names no repository; allowed: /],
  [{ repository: ' , ' }, /^repository: .* names no repository/],
  [{ repository: '<script>' }, /^repository: "<script>" has characters/],
  [{ repository: 'a//b' }, /^repository: .*empty segment/],
])('a listing refuses %j with a line that says where and what', (query, message) => {
  expect(refusal(() => rowQuery(query))).toMatch(message);
});

test('repositories are asked for a hundred at a time, or by what they can be narrowed by', () => {
  expect(repositoryQuery({})).toEqual({ limit: 100 });
  expect(repositoryQuery({ repository: 'group/*', failed: 'true', after: 'group/app', limit: '7' })).toMatchObject({
    repositories: { text: 'group/*' },
    failed: true,
    after: 'group/app',
    limit: 7,
  });
});

test.each<[Query, RegExp]>([
  [{ state: 'failed' }, /^query: "state" is unknown; give repository, failed, after, limit or nothing$/],
  [{ repository: '' }, /^repository: "" names no repository; allowed: /],
  [{ repository: ['a/b', 'a/c'] }, /^repository: given 2 times; give it once$/],
  [{ failed: '' }, /^failed: "" is unknown; give true or false, or leave it out$/],
  [{ after: '' }, /^after: it is empty; give the next of the page before, or leave it out$/],
  [{ after: ['a', 'b'] }, /^after: given 2 times/],
  [{ limit: '1001' }, /^limit: "1001" is no whole number from 1 to 1000/],
])('a listing of repositories refuses %j with a line that says where and what', (query, message) => {
  expect(refusal(() => repositoryQuery(query))).toMatch(message);
});

test('an order means all repositories unless some are named', () => {
  expect(order({})).toMatchObject({ repositories: undefined });
  expect(order({}, '')).toMatchObject({ repositories: undefined });
  expect(order({}, '{}')).toMatchObject({ repositories: undefined });
});

test.each([
  [{ repository: 'group/*' }, undefined],
  [{}, '{"repository":"group/*"}'],
])('an order is narrowed by query or body: %j %j', (query, body) => {
  expect(order(query, body)).toMatchObject({ repositories: { text: 'group/*' }, rehash: undefined });
});

test.each<[Query, string, boolean | undefined]>([
  [{ rehash: 'true' }, '', true],
  [{}, '{"rehash":true}', true],
  [{ repository: 'group/*' }, '{"rehash":false}', false],
  [{}, '{}', undefined],
])('a verification may be told to read everything: %j %s', (query, body, rehash) => {
  expect(verification(query, body)).toMatchObject({ rehash });
});

test.each<[Query, string, RegExp]>([
  [{ rehash: 'yes' }, '', /^rehash: "yes" is unknown; give true or false, or leave it out$/],
  [{}, '{"rehash":1}', /^rehash: 1 is unknown/],
  [{ rehash: 'true' }, '{"rehash":true}', /^rehash: given in the query and in the body/],
])('a verification refuses %j %s', (query, body, message) => {
  expect(refusal(() => verification(query, body))).toMatch(message);
});

test.each<[Query, string, RegExp]>([
  [{}, 'repository=group', /^body: it is no JSON; give \{"repository":"group\/project"\}, or nothing$/],
  [{}, '["group"]', /^body: \["group"\] is no object/],
  [{}, 'null', /^body: null is no object/],
  [{}, '{"repo":"group"}', /^body: "repo" is unknown; give repository or nothing$/],
  [{}, '{"rehash":true}', /^body: "rehash" is unknown; give repository or nothing$/],
  [{ rehash: 'true' }, '', /^query: "rehash" is unknown; give repository or nothing$/],
  [{}, '{"repository":["group"]}', /^body: repository: \["group"\] is no text/],
  [{}, '{"repository":""}', /^repository: "" names no repository/],
  [{ repo: 'group' }, '', /^query: "repo" is unknown/],
  [{ repository: 'a' }, '{"repository":"b"}', /^repository: given in the query and in the body/],
])('an order refuses %j %s: it must not mean everything', (query, body, message) => {
  expect(refusal(() => order(query, body))).toMatch(message);
});

test('a long value is cut in what is said of it', () => {
  expect(refusal(() => rowQuery({ state: 'x'.repeat(10_000) })).length).toBeLessThan(400);
  expect(refusal(() => rowQuery({ repository: 'X'.repeat(10_000) })).length).toBeLessThan(600);
});
