// HEAD under a token that may push: the primary's word only, or a pusher would skip an upload because of our copy.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { repositoryAccess } from '../support/token.ts';
import { calm, pushToBoth } from './local-copy.ts';

let site: ProxySite;
const [local, both] = [image('only here'), image('at both')];
const layer = blob(1_000, 'only here');
const name = 'push/proj';

beforeAll(async () => {
  site = await startProxySite();
  await pushImage(site.secondaryTarget(name), 'old', local);
  await pushToBoth(site, name, 'v1', both);
  await pushBlob(site.secondaryTarget(name), layer);
});
afterEach(() => calm(site));
afterAll(() => site.close());

describe.each([['pull', 'push'], ['*'], ['pull', 'push', 'delete']])('a token for %s %s %s', (...actions) => {
  const ask = (path: string, method: 'GET' | 'HEAD' = 'HEAD'): Promise<Answer> =>
    site.ask(`${name}/${path}`, { method, token: site.tokenFor([repositoryAccess(name, ...actions.filter(Boolean))]) });

  test('does not see by HEAD what is only here', async () => {
    for (const path of [`blobs/${layer.digest}`, `manifests/${local.digest}`, 'manifests/old']) {
      expect((await ask(path)).status).toBe(404);
    }
    expect(site.localRelay.count()).toBe(0);
  });

  test('sees what the primary has, and nothing is filled', async () => {
    const manifest = await ask(`manifests/${both.digest}`);
    expect(manifest.status).toBe(200);
    expect(manifest.headers).toMatchObject({
      'docker-content-digest': both.digest,
      'content-type': both.mediaType,
      'content-length': String(both.size),
      'cache-control': 'private',
    });
    expect((await ask('manifests/v1')).headers['docker-content-digest']).toBe(both.digest);
    const [config] = both.blobs;
    expect((await ask(`blobs/${config!.digest}`)).headers['content-length']).toBe(String(config!.size));
    expect(site.localRelay.count()).toBe(0);
  });

  test('is told nothing that is not known', async () => {
    await site.relay.down();
    for (const path of [`blobs/${layer.digest}`, `manifests/${both.digest}`, 'manifests/v1']) {
      expect((await ask(path)).status).toBe(503);
    }
  });

  test('reads by GET what is here, as everybody does', async () => {
    expect((await ask(`manifests/${local.digest}`, 'GET')).body.equals(local.bytes)).toBe(true);
    expect((await ask(`blobs/${layer.digest}`, 'GET')).body.equals(layer.bytes)).toBe(true);
  });
});

test('a token that may push elsewhere sees by HEAD what is here', async () => {
  const token = site.tokenFor([repositoryAccess(name, 'pull'), repositoryAccess('push/other', 'pull', 'push')]);
  for (const path of [`blobs/${layer.digest}`, `manifests/${local.digest}`]) {
    expect((await site.ask(`${name}/${path}`, { method: 'HEAD', token })).status).toBe(200);
  }
});
