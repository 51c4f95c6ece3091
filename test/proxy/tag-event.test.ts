// What events end of the belief in tags (GEO_TAG_TTL), whether or not their repositories are stored.
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { deleteManifest, pushImage } from '../support/push.ts';

const SECRET = 'Webhook-Secret-1';

async function send(site: ProxySite, ...events: readonly object[]): Promise<void> {
  const { statusCode, body } = await request(`${site.proxy.url}/api/v4/container_registry_event/events`, {
    method: 'POST',
    headers: { authorization: SECRET },
    body: JSON.stringify({ events }),
  });
  await body.dump();
  expect(statusCode).toBe(200);
}

describe.each([
  ['is stored', {}],
  ['is excluded', { GEO_REPLICATION_EXCLUDE: 'app/**' }],
  ['is not stored, as nothing is', { GEO_STORE: 'off' }],
])('of a repository that %s', (_what, env) => {
  let site: ProxySite;
  beforeAll(async () => {
    site = await startProxySite({
      env: { GEO_REPLICATION: 'on', GEO_EVENTS_TOKEN: SECRET, GEO_TAG_TTL: '1h', GEO_RECONCILE_INTERVAL: '5h', ...env },
    });
  });
  afterAll(() => site.close());

  const digestOf = async (name: string): Promise<unknown> =>
    (await site.ask(`${name}/manifests/v1`)).headers['docker-content-digest'];

  test('a push ends it for the tag', async () => {
    const name = 'app/pushed';
    const [old, young] = [image('old', { layers: 1 }), image('young', { layers: 1 })];
    await pushImage(site.primaryTarget(name), 'v1', old);
    expect(await digestOf(name)).toBe(old.digest);
    await pushImage(site.primaryTarget(name), 'v1', young);
    const { mediaType, digest } = young;
    expect(await digestOf(name)).toBe(old.digest);
    await send(site, { action: 'push', target: { repository: name, tag: 'v1', mediaType, digest } });
    expect(await digestOf(name)).toBe(young.digest);
  });

  test('a deletion of a digest ends what is remembered of that manifest', async () => {
    const name = 'app/forgotten';
    const pushed = image('forgotten', { layers: 1 });
    await pushImage(site.primaryTarget(name), 'v1', pushed);
    await pushImage(site.secondaryTarget(name), 'v1', pushed);
    const path = `${name}/manifests/${pushed.digest}`;
    expect((await site.ask(path)).status).toBe(200);
    const asked = (): number => site.localRelay.count(({ method, path: to }) => method === 'GET' && to.endsWith(path));
    const before = asked();
    expect((await site.ask(path)).status).toBe(200);
    expect(asked()).toBe(before);
    await send(site, { action: 'delete', target: { repository: name, digest: pushed.digest } });
    await site.ask(path);
    expect(asked()).toBeGreaterThan(before);
  });

  test.each([
    ['the repository', {}],
    ['a digest', { digest: image('deleted', { layers: 1 }).digest }],
  ])('a deletion of %s ends it for all tags', async (_whole, target) => {
    const name = `app/deleted-${Object.keys(target).length}`;
    const pushed = image('deleted', { layers: 1 });
    await pushImage(site.primaryTarget(name), 'v1', pushed);
    expect(await digestOf(name)).toBe(pushed.digest);
    await deleteManifest(site.primaryTarget(name), pushed.digest);
    await send(site, { action: 'delete', target: { repository: name, ...target } });
    expect((await site.ask(`${name}/manifests/v1`)).status).toBe(404);
  });
});
