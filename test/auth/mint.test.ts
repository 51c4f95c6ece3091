import { createPublicKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { libtrustId, thumbprint } from '../../src/auth/key-id.ts';
import type { KeySet } from '../../src/auth/key-ring.ts';
import { Minter, type MinterDeps } from '../../src/auth/mint.ts';
import { pullAccess, pushAccess } from '../../src/auth/scope.ts';
import { privateKeyOf, privatePem } from './pem.ts';

const NOW = Date.UTC(2030, 0, 1);

function keySet(pem: string, version = 1, chain: string[] = []): KeySet {
  const key = privateKeyOf(pem);
  return { version, signing: { key, chain }, trusted: [createPublicKey(key)] };
}

/** A minter whose clock and keys the test moves. */
function minterOf(pem = ecKey, more: Partial<MinterDeps> = {}, options: ConstructorParameters<typeof Minter>[1] = {}) {
  const state = { now: NOW, keys: keySet(pem) };
  const deps = { issuer: 'omnibus-gitlab-issuer', service: 'container_registry', tokenKeyId: 'libtrust' as const };
  const keys = { current: () => state.keys };
  return { state, minter: new Minter({ ...deps, keys, clock: () => state.now, ...more }, options) };
}

const ecKey = privatePem('P-256');

describe("a minted token's content", () => {
  it("has GitLab's claims", async () => {
    const claims = decodeJwt(await minterOf().minter.mint([pullAccess('group/project')]));
    expect(claims).toEqual({
      access: [{ type: 'repository', name: 'group/project', actions: ['pull'] }],
      iss: 'omnibus-gitlab-issuer',
      aud: 'container_registry',
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      iat: NOW / 1_000,
      nbf: NOW / 1_000 - 5,
      exp: NOW / 1_000 + 300,
    });
  });

  it.each([
    ['rsa', 'RS256'],
    ['P-256', 'ES256'],
    ['P-384', 'ES384'],
    ['P-521', 'ES512'],
  ] as const)('is signed by a key of %s with %s', async (kind, alg) => {
    const pem = privatePem(kind);
    const token = await minterOf(pem).minter.mint([]);
    expect(decodeProtectedHeader(token)).toEqual({ typ: 'JWT', alg, kid: libtrustId(privateKeyOf(pem)) });
    await expect(jwtVerify(token, createPublicKey(pem), { currentDate: new Date(NOW) })).resolves.toBeDefined();
  });

  it('names its key as Distribution 3 does', async () => {
    const token = await minterOf(ecKey, { tokenKeyId: 'rfc7638' }).minter.mint([]);
    expect(decodeProtectedHeader(token).kid).toBe(await thumbprint(privateKeyOf(ecKey)));
  });

  it('carries the certificates and no key id', async () => {
    const keys = { current: () => certified };
    const certified = keySet(ecKey, 1, ['QUJD']);
    const token = await minterOf(ecKey, { keys, tokenKeyId: 'x5c' }).minter.mint([]);
    expect(decodeProtectedHeader(token)).toEqual({ typ: 'JWT', alg: 'ES256', x5c: ['QUJD'] });
  });

  it('holds nothing of an access entry but type, name and actions', async () => {
    const token = await minterOf().minter.mint([{ ...pullAccess('a'), secret: 'x' } as ReturnType<typeof pullAccess>]);
    expect(decodeJwt(token)['access']).toEqual([pullAccess('a')]);
  });
});

describe('Minter', () => {
  it('refuses keys without a private one', () => {
    const keys = { current: (): KeySet => ({ version: 1, trusted: [] }) };
    expect(() => minterOf(ecKey, { keys })).toThrow('no private key');
  });

  it('refuses x5c without a certificate of the key', () => {
    expect(() => minterOf(ecKey, { tokenKeyId: 'x5c' })).toThrow('no certificate of the private key');
  });
});

async function isSame(minter: Minter, between: () => void): Promise<boolean> {
  const before = await minter.mint([pullAccess('a')]);
  between();
  return before === (await minter.mint([pullAccess('a')]));
}

describe("a minter's memory", () => {
  it('gives one token until 60 s before its end', async () => {
    const { minter, state } = minterOf();
    expect(await isSame(minter, () => (state.now = NOW + 239_999))).toBe(true);
    expect(await isSame(minter, () => (state.now = NOW + 240_000))).toBe(false);
  });

  it('gives a token of 60 s for the half of that', async () => {
    const { minter, state } = minterOf(ecKey, {}, { ttl: 60_000 });
    expect(await isSame(minter, () => (state.now = NOW + 29_999))).toBe(true);
    expect(await isSame(minter, () => (state.now = NOW + 30_000))).toBe(false);
  });

  it('keeps accesses and lifetimes apart', async () => {
    const { minter } = minterOf();
    const tokens = await Promise.all([
      minter.mint([pullAccess('a')]),
      minter.mint([pullAccess('b')]),
      minter.mint([pushAccess('a')]),
      minter.mint([pullAccess('a'), pullAccess('b')]),
      minter.mint([pullAccess('a')], { ttl: 60_000 }),
    ]);
    expect(new Set(tokens).size).toBe(5);
    expect(tokens.map((token) => decodeJwt(token).exp! - NOW / 1_000)).toEqual([300, 300, 300, 300, 60]);
  });

  it('signs once for many that ask at once', async () => {
    const { minter } = minterOf();
    const tokens = await Promise.all(Array.from({ length: 50 }, () => minter.mint([pullAccess('a')])));
    expect(new Set(tokens).size).toBe(1);
  });

  it('gives another token when a fresh one is asked for, and goes on with that', async () => {
    const { minter } = minterOf();
    const first = await minter.mint([pullAccess('a')]);
    const [second, third] = await Promise.all([1, 2].map(() => minter.mint([pullAccess('a')], { fresh: true })));
    expect(second).not.toBe(first);
    expect(third).toBe(second);
    expect(await minter.mint([pullAccess('a')])).toBe(second);
  });

  it('ends with the key', async () => {
    const { minter, state } = minterOf();
    const before = await minter.mint([pullAccess('a')]);
    const pem = privatePem('rsa');
    state.keys = keySet(pem, 2);
    const after = await minter.mint([pullAccess('a')]);
    expect(after).not.toBe(before);
    expect(decodeProtectedHeader(after)).toMatchObject({ alg: 'RS256', kid: libtrustId(privateKeyOf(pem)) });
  });

  it('is bounded', async () => {
    const { minter } = minterOf(ecKey, {}, { cacheBytes: 2_600 });
    const first = await minter.mint([pullAccess('a')]);
    for (const name of ['b', 'c']) await minter.mint([pullAccess(name)]);
    expect(await minter.mint([pullAccess('a')])).not.toBe(first);
  });

  it('does not hold a failure', async () => {
    const { minter, state } = minterOf();
    // jose refuses to put it into a claim.
    state.now = Number.NaN;
    await expect(minter.mint([pullAccess('a')])).rejects.toThrow();
    state.now = NOW;
    await expect(minter.mint([pullAccess('a')])).resolves.toMatch(/^ey/);
  });
});
