// Headers of errors and redirects: what a registry says of them is ours to word, and leads nobody anywhere else.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image, type Manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import type { RelayMatch } from '../support/relay.ts';
import { pushToBoth } from './local-copy.ts';
import { addOdd, expectOurs } from './odd-headers.ts';

let site: ProxySite;
const pushed: Manifest = image('headers of trouble', { layers: 1 });
const layer = pushed.blobs[1]!;
const path = { tag: 'headers/trouble/manifests/v1', layer: `headers/both/blobs/${layer.digest}` };

beforeAll(async () => {
  site = await startProxySite();
  await pushImage(site.primaryTarget('headers/trouble'), 'v1', pushed);
  await pushToBoth(site, 'headers/both', 'v1', pushed);
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

const isV1: RelayMatch = ({ path: asked }) => asked.endsWith('/v1');
const isOfLayer: RelayMatch = ({ path: asked }) => asked.endsWith(layer.digest);
const json = { 'content-type': 'application/json' };
const unknown = '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"<script>"}]}';
const answers: [status: number, body: string, answered: number][] = [
  [404, unknown, 404],
  [429, '{}', 429],
  [401, '{}', 403],
  [403, '{}', 403],
  [500, 'oh no', 503],
  [503, 'oh no', 503],
  [302, '', 503],
  [204, '', 503],
];

test.each(answers)('a primary’s %i leaves with our headers and our words', async (status, body, answered) => {
  const www = { 'www-authenticate': 'Bearer realm="https://evil.example.com/",service="evil"' };
  const rule = addOdd(site.relay, { match: isV1, answer: { status, headers: { ...json, ...www }, body } });
  const answer = await site.ask(path.tag);
  expect(answer.status).toBe(answered);
  expectOurs(answer);
  expect(answer.headers).not.toHaveProperty('www-authenticate');
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(answer.body.toString()).not.toMatch(/evil|script|oh no/);
  expect(rule.used).toBeGreaterThan(0);
});

test('an answer that ends before its first byte leaves none of its headers to the error', async () => {
  const only = blob(5_000, 'only in the secondary');
  await pushBlob(site.secondaryTarget('headers/both'), only);
  site.localRelay.rules.push({ match: ({ path: asked }) => asked.endsWith(only.digest), cutAfter: 0, times: 1 });
  const answer = await site.ask(`headers/both/blobs/${only.digest}`);
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 503, code: 'UNAVAILABLE' });
  expectOurs(answer);
  for (const name of ['etag', 'docker-content-digest', 'accept-ranges'])
    expect(answer.headers).not.toHaveProperty(name);
});

test.each([
  ['a date', 'Fri, 31 Dec 2099 23:59:59 GMT', 'Fri, 31 Dec 2099 23:59:59 GMT'],
  ['seconds', '17', '17'],
  ['neither', 'soon; x=1', '5'],
])('of a 429 its Retry-After passes, if it is one: %s', async (_what, given, passed) => {
  addOdd(site.relay, { answer: { status: 429, headers: { ...json, 'retry-after': given }, body: '{}' } });
  const answer = await site.ask(path.tag);
  expectOurs(answer);
  expect(answer.headers['retry-after']).toBe(passed);
});

test('a redirect of the local storage passes, with nothing beside it', async () => {
  const location = 'https://storage.example.com/bucket/blob?signature=a%2Fb';
  addOdd(site.localRelay, { answer: { status: 307, headers: { location } } });
  const answer = await site.ask(path.layer);
  expect(answer.status).toBe(307);
  expectOurs(answer);
  expect(answer.headers['location']).toBe(location);
});

test.each(['/etc/passwd', 'file:///etc/passwd', 'javascript:alert(1)', '//', '', 'gopher://example.com/'])(
  'a redirect of the local registry to "%s" passes nowhere: the client gets the bytes',
  async (location) => {
    addOdd(site.localRelay, { match: isOfLayer, answer: { status: 307, headers: { location } } });
    const answer = await site.ask(path.layer);
    expect({ status: answer.status, bytes: answer.body.length }).toEqual({ status: 200, bytes: layer.size });
    expectOurs(answer);
  },
);
