// Registries that give a manifest by its tag and not by its digest: what the tag means is found, also by a client's GET
// of that digest after its HEAD of the tag.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { createGate } from '../support/relay-rule.ts';
import { scaled } from '../support/patience.ts';
import { pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { watchArrivals } from './arrivals.ts';
import { calm, untilLocal } from './local-copy.ts';
import { answering } from './trouble.ts';

let site: ProxySite;
const first = image('tag alone 1');
const second = image('tag alone 2');

beforeAll(async () => {
  // Nothing below `never/` is stored, and nothing is remembered: each question reaches the primary.
  site = await startProxySite({
    env: { GEO_MEMORY_CACHE: '1', GEO_REPLICATION_EXCLUDE: 'never/**', GEO_PRIMARY_TIMEOUT: `${scaled(20_000)}ms` },
  });
});
afterEach(() => calm(site));
afterAll(() => site.close());

/** The primary gives none of its manifests by digest. */
function tagsAlone(): void {
  site.relay.rules.push(
    answering(404, 'MANIFEST_UNKNOWN', { match: ({ path }) => path.includes('/manifests/sha256:') }),
  );
}

test.each(['GET', 'HEAD'] as const)('%s of the tag is answered', async (method) => {
  await pushImage(site.primaryTarget('never/given'), 'v1', first);
  tagsAlone();
  const { status, headers, body } = await site.ask('never/given/manifests/v1', { method });
  expect({ status, digest: headers['docker-content-digest'] }).toEqual({ status: 200, digest: first.digest });
  if (method === 'GET') expect(body.equals(first.bytes)).toBe(true);
});

test('after a HEAD of the tag its digest is found, as often as it is asked for', async () => {
  await pushImage(site.primaryTarget('never/headed'), 'v1', first);
  tagsAlone();
  const path = `never/headed/manifests/${first.digest}`;
  expect((await site.ask(path)).status).toBe(404);
  await site.ask('never/headed/manifests/v1', { method: 'HEAD' });
  for (let times = 0; times < 2; times += 1) {
    const { status, body } = await site.ask(path);
    expect(status).toBe(200);
    expect(body.equals(first.bytes)).toBe(true);
  }
  // Of another repository the tag says nothing.
  expect((await site.ask(`never/other/manifests/${first.digest}`)).status).toBe(404);
});

test('a digest that the tag does not mean any more is 404, and not what it means now', async () => {
  await pushImage(site.primaryTarget('never/moved'), 'v1', first);
  tagsAlone();
  await site.ask('never/moved/manifests/v1', { method: 'HEAD' });
  await pushImage(site.primaryTarget('never/moved'), 'v1', second);
  expect(await site.ask(`never/moved/manifests/${first.digest}`)).toMatchObject({
    status: 404,
    code: 'MANIFEST_UNKNOWN',
  });
  expect((await site.ask('never/moved/manifests/v1')).headers['docker-content-digest']).toBe(second.digest);
});

test('it is not 404 while the tag cannot be asked for', async () => {
  await pushImage(site.primaryTarget('never/silent'), 'v1', first);
  tagsAlone();
  await site.ask('never/silent/manifests/v1', { method: 'HEAD' });
  site.relay.rules.push({
    match: ({ method, path }) => method === 'GET' && path.endsWith('/manifests/v1'),
    answer: { status: 500 },
  });
  for (const reference of ['v1', first.digest]) {
    expect(await site.ask(`never/silent/manifests/${reference}`)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  }
});

const isGet = ({ method, path }: { method: string; path: string }): boolean =>
  method === 'GET' && path.endsWith('/never/many/manifests/v1');

test('many that pull it at once cost few questions', async () => {
  await pushImage(site.primaryTarget('never/many'), 'v1', first);
  tagsAlone();
  const gate = createGate();
  site.relay.rules.push({ match: isGet, gate });
  using arrivals = watchArrivals(site.proxy.url);
  const pulls = Array.from({ length: 40 }, () => site.ask('never/many/manifests/v1'));
  const isOther = (request: { method: string; path: string; state: string }): boolean =>
    request.state === 'open' && !isGet(request);
  await waitFor(
    () => arrivals.count === 40 && gate.arrived > 0 && site.relay.count(isOther) + site.localRelay.count(isOther) === 0,
    {
      what: 'nothing but the tag to be asked for',
    },
  );
  gate.open();
  for (const { status } of await Promise.all(pulls)) expect(status).toBe(200);
  expect(site.relay.count(isGet)).toBeLessThan(10);
});

test('a tag that HEAD names and GET does not is 404', async () => {
  await pushImage(site.primaryTarget('never/named'), 'v1', first);
  tagsAlone();
  site.relay.rules.push({
    ...answering(404, 'NOT_FOUND'),
    match: ({ method, path }) => method === 'GET' && path.endsWith('/manifests/v1'),
  });
  expect(await site.ask('never/named/manifests/v1')).toMatchObject({ status: 404, code: 'MANIFEST_UNKNOWN' });
});

test('it is stored under its tag, and its digest is found without the primary from then on', async () => {
  await pushImage(site.primaryTarget('kept/app'), 'v1', first);
  tagsAlone();
  expect((await site.ask('kept/app/manifests/v1')).status).toBe(200);
  await untilLocal(site, 'kept/app', 'v1', first.digest);
  await site.relay.down();
  expect((await site.ask(`kept/app/manifests/${first.digest}`)).status).toBe(200);
});
