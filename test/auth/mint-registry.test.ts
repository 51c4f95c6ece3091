import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { KeyRing } from '../../src/auth/key-ring.ts';
import { Minter, type TokenKeyId } from '../../src/auth/mint.ts';
import { catalogAccess, deleteAccess, pullAccess, pushAccess } from '../../src/auth/scope.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { certificateChainIn, certificateOf, privatePem, scratch } from './pem.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Site {
  readonly registry: Registry;
  readonly minter: Minter;
}

/** A registry that trusts a certificate, and a minter that has its key. */
async function startSite(pem: string, tokenKeyId: TokenKeyId, certificates?: string): Promise<Site> {
  const directory = scratch();
  cleanups.push(() => directory[Symbol.dispose]());
  const [keyFile, certFile] = [directory.path('key'), directory.path('crt')];
  writeFileSync(keyFile, pem);
  writeFileSync(certFile, certificates ?? certificateOf(keyFile));
  const auth = { realm: 'https://gitlab.example.com/jwt/auth', service: 'container_registry', issuer: 'an-issuer' };
  const registry = await startRegistry({ name: 'auth', auth: { ...auth, rootCertBundle: certFile } });
  cleanups.push(() => registry.close());
  const keys = new KeyRing({ keyFile, certFile, onError: () => undefined });
  return { registry, minter: new Minter({ ...auth, keys, tokenKeyId }) };
}

/** Status, error code and challenge of a request with a token. */
async function ask({ registry }: Site, token: string, path: string, method = 'GET') {
  const response = await fetch(registry.url + path, { method, headers: { authorization: `Bearer ${token}` } });
  const { errors } = (await response.json().catch(() => ({}))) as { errors?: { code: string }[] };
  return { status: response.status, code: errors?.[0]?.code, challenge: response.headers.get('www-authenticate') };
}

describe('a registry takes a minted token', () => {
  it.each([
    ['RSA in PKCS#1', 'rsa', 'pkcs1'],
    ['RSA in PKCS#8', 'rsa', 'pkcs8'],
    ['P-256 in SEC1', 'P-256', 'sec1'],
    ['P-384 in PKCS#8', 'P-384', 'pkcs8'],
    ['P-521 in SEC1', 'P-521', 'sec1'],
  ] as const)('of a key of %s, by its libtrust id', async (_what, kind, type) => {
    const site = await startSite(privatePem(kind, type), 'libtrust');
    const token = await site.minter.mint([pullAccess('group/project')]);
    expect(await ask(site, token, '/v2/')).toMatchObject({ status: 200 });
    expect(await ask(site, token, '/v2/group/project/manifests/latest')).toMatchObject({
      status: 404,
      code: 'MANIFEST_UNKNOWN',
    });
  });

  it.each(['rsa', 'P-256'] as const)('of a key of %s, by its certificate', async (kind) => {
    const site = await startSite(privatePem(kind), 'x5c');
    expect(await ask(site, await site.minter.mint([]), '/v2/')).toMatchObject({ status: 200 });
  });

  it('by a chain of certificates whose root alone it trusts', async () => {
    const directory = scratch();
    cleanups.push(() => directory[Symbol.dispose]());
    const { chain, key } = certificateChainIn(directory);
    const root = await startSite(privatePem('rsa'), 'libtrust', chain[2]!);
    writeFileSync(directory.path('bundle'), chain.join(''));
    writeFileSync(directory.path('key'), key);
    const files = { keyFile: directory.path('key'), certFile: directory.path('bundle') };
    const keys = new KeyRing({ ...files, onError: () => undefined }, { needsCertificate: true });
    const minter = new Minter({ keys, issuer: 'an-issuer', service: 'container_registry', tokenKeyId: 'x5c' });
    expect(await ask(root, await minter.mint([]), '/v2/')).toMatchObject({ status: 200 });
  });

  it('for pushing, deleting and the catalog', async () => {
    const site = await startSite(privatePem('P-256'), 'libtrust');
    const token = await site.minter.mint([pushAccess('a/b'), deleteAccess('a/b'), catalogAccess()]);
    expect(await ask(site, token, '/v2/a/b/blobs/uploads/', 'POST')).toMatchObject({ status: 202 });
    const digest = `sha256:${'0'.repeat(64)}`;
    expect(await ask(site, token, `/v2/a/b/manifests/${digest}`, 'DELETE')).toMatchObject({ status: 404 });
    expect(await ask(site, token, '/v2/_catalog')).toMatchObject({ status: 200 });
  });
});

describe('a registry refuses a minted token', () => {
  it('for another repository', async () => {
    const site = await startSite(privatePem('P-256'), 'libtrust');
    const token = await site.minter.mint([pullAccess('a')]);
    expect(await ask(site, token, '/v2/a/b/tags/list')).toMatchObject({
      status: 401,
      challenge: expect.stringContaining('insufficient_scope'),
    });
  });

  it("when it names its key in Distribution 3's way", async () => {
    const site = await startSite(privatePem('P-256'), 'rfc7638');
    expect(await ask(site, await site.minter.mint([]), '/v2/')).toMatchObject({ status: 401 });
  });
});

it('reads nothing but certificates out of the file that a registry trusts too', async () => {
  using directory = scratch();
  writeFileSync(directory.path('key'), privatePem('rsa'));
  writeFileSync(
    directory.path('crt'),
    certificateOf(directory.path('key')) + readFileSync(directory.path('key'), 'utf8'),
  );
  const files = { keyFile: directory.path('key'), certFile: directory.path('crt') };
  expect(new KeyRing({ ...files, onError: () => undefined }).current().trusted).toHaveLength(1);
});
