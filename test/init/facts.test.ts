// What init finds out about a registry: lists, deletes, where blobs come from; and what tokens have to say.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { KeyRing } from '../../src/auth/key-ring.ts';
import { anonymous, TIMEOUT } from '../../src/cli/init-places.ts';
import { findFacts, type Facts } from '../../src/init/facts.ts';
import { candidatesOf, commonSettings, findSettings } from '../../src/init/settings.ts';
import { withSide } from '../../src/init/side.ts';
import { image, index } from '../support/image.ts';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { pushImage } from '../support/push.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { freePort } from '../support/tool.ts';
import { ociError, startDouble } from './double.ts';

let registry: Registry;
let keys: SiteKeys;
beforeAll(async () => {
  [registry, keys] = await Promise.all([startRegistry({ name: 'plain' }), createSiteKeys()]);
});
afterAll(() => Promise.all([registry.close(), keys.remove()]));

function factsAt(url: string, isWritten = true): Promise<Facts> {
  return withSide('secondary', anonymous(new URL(url), undefined), (side) =>
    findFacts(side, { timeout: TIMEOUT, isWritten }),
  );
}

async function restart(changes: Parameters<Registry['start']>[0]): Promise<Facts> {
  await registry.stop();
  await registry.start(changes);
  return factsAt(registry.url);
}

test('an empty registry that deletes; nothing is asked of it that writes, unless it may be', async () => {
  expect(await factsAt(registry.url)).toMatchObject({
    repositories: [],
    deletes: { kind: 'on' },
    storage: { kind: 'unknown' },
  });
  expect((await factsAt(registry.url, false)).deletes).toEqual({ kind: 'not asked' });
});

test('deletes that are off, and maintenance', async () => {
  expect((await restart({ deleteEnabled: false })).deletes).toEqual({ kind: 'off' });
  expect((await restart({ readOnly: true })).deletes).toEqual({ kind: 'read-only' });
  expect((await restart({ readOnly: false, deleteEnabled: true })).deletes).toEqual({ kind: 'on' });
});

test('blobs of the registry itself, and of a storage that it redirects to, reached or not', async () => {
  await pushImage({ url: registry.url, repository: 'group/one' }, 'v1', index([image('one')]));
  expect(await factsAt(registry.url)).toMatchObject({ repositories: ['group/one'], storage: { kind: 'registry' } });

  const storage = createServer((_, response) => response.writeHead(206, { 'content-range': 'bytes 0-0/2' }).end('{'));
  await once(storage.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void storage.close());
  const host = `127.0.0.1:${(storage.address() as AddressInfo).port}`;
  expect((await restart({ redirectTo: `http://${host}` })).storage).toEqual({ kind: 'redirect', host });

  const nowhere = `127.0.0.1:${await freePort()}`;
  const { storage: away } = await restart({ redirectTo: `http://${nowhere}` });
  expect(away).toEqual({ kind: 'redirect', host: nowhere, reason: expect.stringContaining('ECONNREFUSED') });
});

test('a registry without a catalog', async () => {
  const url = await startDouble({
    'GET /v2/': { status: 200, body: {} },
    'GET /v2/_catalog': ociError(404, 'UNSUPPORTED'),
  });
  expect(await factsAt(url.href)).toMatchObject({ repositories: undefined });
});

/** Accepts tokens by the form of their key id alone. */
function takes(form: 'rfc7638' | 'libtrust'): Promise<URL> {
  return startDouble({
    'GET /v2/geo-registry-proxy/doctor/manifests/none': ({ headers: { authorization = '' } }) => {
      const [header = ''] = authorization.replace('Bearer ', '').split('.');
      const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string };
      const isTaken = kid.includes(':') === (form === 'libtrust');
      return isTaken ? ociError(404, 'NAME_UNKNOWN') : ociError(401, 'UNAUTHORIZED');
    },
  });
}

test('the form of the key id is the one that both registries take, the likeliest first', async () => {
  const candidates = candidatesOf({ issuers: ['a', 'b'], services: ['s'], keyIds: ['libtrust', 'rfc7638'] });
  const ring = new KeyRing({ keyFile: keys.keyFile, onError: () => undefined });
  const accepted = async (form: 'rfc7638' | 'libtrust'): ReturnType<typeof findSettings> =>
    findSettings('primary', { ...anonymous(await takes(form), undefined), keys: ring }, candidates);
  const [three, two] = [await accepted('rfc7638'), await accepted('libtrust')];
  expect(commonSettings([three, three])).toEqual({ tokenIssuer: 'a', tokenService: 's', tokenKeyId: 'rfc7638' });
  expect(commonSettings([two, two])).toMatchObject({ tokenKeyId: 'libtrust' });
  expect(commonSettings([two, three])).toBeUndefined();
});
