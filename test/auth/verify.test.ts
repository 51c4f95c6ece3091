import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { KeySet } from '../../src/auth/key-ring.ts';
import { pullAccess } from '../../src/auth/scope.ts';
import { Verifier, InvalidToken, type VerifierOptions } from '../../src/auth/verify.ts';
import { signToken, type TokenOverrides } from '../support/token.ts';
import { privateKeyOf, privatePem } from './pem.ts';

const rsa = privateKeyOf(privatePem('rsa'));
const ec = privateKeyOf(privatePem('P-256'));
const site = { key: rsa, issuer: 'an-issuer', service: 'container_registry' };

let versions = 0;

function trusting(...keys: (typeof rsa)[]): KeySet {
  return { version: (versions += 1), trusted: keys.map((key) => createPublicKey(key)) };
}

/** A verifier whose clock and keys the test moves, and that counts how often keys were tried. */
function verifierOf(keySet = trusting(rsa), options: VerifierOptions = {}) {
  const state = { now: Date.now(), keys: keySet, tried: 0 };
  const counted = (keys: KeySet): KeySet => ({
    ...keys,
    get trusted() {
      state.tried += 1;
      return keys.trusted;
    },
  });
  const keys = { current: () => counted(state.keys) };
  const deps = { keys, issuer: site.issuer, audience: site.service, clock: () => state.now };
  return { state, verifier: new Verifier(deps, options) };
}

function token(overrides: TokenOverrides = {}): string {
  return signToken(site, [pullAccess('a/b')], overrides);
}

function claims(changes: Record<string, unknown>): string {
  return token({ claims: changes });
}

const encode = (text: string): string => Buffer.from(text).toString('base64url');

const seconds = (offset: number): number => Math.floor(Date.now() / 1_000) + offset;

describe('a good token', () => {
  it('says what it grants, to whom and until when', async () => {
    const exp = seconds(300);
    expect(await verifierOf().verifier.verify(claims({ exp, sub: 'alice', user: 'x' }))).toMatchObject({
      access: [pullAccess('a/b')],
      expiresAt: exp * 1_000,
      subject: 'alice',
    });
  });

  it('may fill a header that nginx lets through', async () => {
    const large = claims({ pad: 'x'.repeat(23_500) });
    expect(large.length).toBeGreaterThan(31 * 1_024);
    await expect(verifierOf().verifier.verify(large)).resolves.toBeDefined();
  });

  it.each(['RS256', 'RS384', 'RS512'])('may be signed with %s', async (alg) => {
    await expect(verifierOf().verifier.verify(token({ header: { alg } }))).resolves.toBeDefined();
  });

  it.each([
    ['P-256', 'ES256'],
    ['P-384', 'ES384'],
    ['P-521', 'ES512'],
  ] as const)('may be signed by a key of %s with %s', async (curve, alg) => {
    const key = privateKeyOf(privatePem(curve));
    await expect(verifierOf(trusting(key)).verifier.verify(token({ key, header: { alg } }))).resolves.toBeDefined();
  });

  it('may be signed by any of several keys, whatever key it names', async () => {
    const second = privateKeyOf(privatePem('rsa'));
    const { verifier } = verifierOf(trusting(ec, rsa, second));
    for (const key of [ec, rsa, second]) {
      await expect(verifier.verify(token({ key, header: { kid: 'unheard of' } }))).resolves.toBeDefined();
    }
  });

  it.each([
    ['an audience among others', { aud: ['x', 'container_registry'] }],
    ['no nbf, iat, jti or sub', { nbf: undefined, iat: undefined, jti: undefined }],
    ['an exp less than 60 s ago', { exp: seconds(-50) }],
    ['an nbf in less than 60 s', { nbf: seconds(50) }],
  ])('may have %s', async (_what, changes) => {
    await expect(verifierOf().verifier.verify(claims(changes))).resolves.toBeDefined();
  });

  it.each([
    ['no access', undefined, []],
    ['an access that is no list', 'repository:a/b:pull', []],
    ['access entries that are none', [null, 1, {}, { type: 'repository', name: 'a', actions: 'pull' }], []],
    [
      'an action that is no string',
      [{ type: 'repository', name: 'a', actions: ['pull', 1] }, pullAccess('b')],
      [pullAccess('b')],
    ],
    ['more in its entries', [{ ...pullAccess('b'), meta: { project_id: 1 } }], [pullAccess('b')]],
  ])('with %s grants what is well-formed', async (_what, access, expected) => {
    expect((await verifierOf().verifier.verify(claims({ access }))).access).toEqual(expected);
  });
});

describe('the time', () => {
  it('is the clock that it was given, in both directions', async () => {
    const { verifier, state } = verifierOf();
    const past = claims({ exp: seconds(-3_000), nbf: seconds(-3_600) });
    await expect(verifier.verify(past)).rejects.toMatchObject({ reason: 'expired' });
    state.now -= 3_300_000;
    await expect(verifier.verify(past)).resolves.toBeDefined();
    await expect(verifier.verify(token())).rejects.toMatchObject({ reason: 'not valid yet' });
  });
});

describe('a bad token', () => {
  it.each([
    ['over 32 KiB', () => claims({ pad: 'x'.repeat(25_000) }), 'too large'],
    ['with no algorithm', () => token().replace(/^[^.]+/, encode('{"typ":"JWT"}')), 'algorithm not accepted'],
    ['with an algorithm that is no text', () => token({ header: { alg: ['RS256'] } }), 'algorithm not accepted'],
    ['with PS256', () => token({ header: { alg: 'PS256' } }), 'algorithm not accepted'],
    ["with the algorithm of another key's type", () => token({ header: { alg: 'ES256' } }), 'algorithm not accepted'],
    ['with a critical header', () => token({ header: { crit: ['x'], x: 1 } }), 'malformed'],
    ['with an exp that is no number', () => claims({ exp: 'tomorrow' }), 'malformed or missing claim'],
    ['with an nbf that is no number', () => claims({ nbf: '0' }), 'malformed or missing claim'],
    ['without an issuer', () => claims({ iss: undefined }), 'malformed or missing claim'],
    ['without an audience', () => claims({ aud: undefined }), 'malformed or missing claim'],
    ['whose signature was cut', () => token().slice(0, -4), 'signed by no key of ours'],
    ['with two parts', () => token().split('.').slice(0, 2).join('.'), 'malformed'],
    ['whose claims are no object', () => token().replace(/\.[^.]+\./, '.W10.'), 'signed by no key of ours'],
  ])('%s is refused for that', async (_what, make, reason) => {
    await expect(verifierOf().verifier.verify(make())).rejects.toMatchObject({ name: 'InvalidToken', reason });
  });

  it('leaves no trace of itself in the error', async () => {
    const bad = claims({ sub: 'alice', iss: 'mallory' });
    const error: unknown = await verifierOf()
      .verifier.verify(bad)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidToken);
    const text = JSON.stringify(error, Object.getOwnPropertyNames(error));
    for (const part of [...bad.split('.'), 'alice', 'mallory']) expect(text).not.toContain(part);
    expect((error as Error).cause).toBeUndefined();
  });

  it('is never anything but an InvalidToken', async () => {
    const { verifier } = verifierOf(trusting(rsa, ec));
    const [header = '', payload = '', signature = ''] = token().split('.');
    const headers = ['', '{}', 'null', '[]', '1', '{"alg":null}', '{"alg":"RS256","b64":false,"crit":["b64"]}'].map(
      encode,
    );
    const tokens = [
      ...headers.map((odd) => `${odd}.${payload}.${signature}`),
      `${header}.${payload}.`,
      `${header}..${signature}`,
      `${header}.${payload}.${signature}.`,
      `${header}.${payload}.!!!`,
      `${header}.!!!.${signature}`,
      `${encode('{"alg":"ES256"}')}.${payload}.AAAA`,
    ];
    tokens.push('', '.', '..', '...', '....', 'é.é.é', ' '.repeat(100));
    for (const odd of tokens) await expect(verifier.verify(odd)).rejects.toBeInstanceOf(InvalidToken);
  });
});

describe("a verifier's memory", () => {
  it('checks a token once', async () => {
    const { verifier, state } = verifierOf();
    const good = token();
    for (let turn = 0; turn < 3; turn += 1) await verifier.verify(good);
    expect(state.tried).toBe(1);
  });

  it('checks a token once for many that bring it at once', async () => {
    const { verifier, state } = verifierOf();
    const good = token();
    await Promise.all(Array.from({ length: 20 }, () => verifier.verify(good)));
    expect(state.tried).toBe(1);
  });

  it('is of the whole token: another head or other claims under a known signature are another token', async () => {
    const { verifier } = verifierOf();
    const good = token();
    const [header, payload, signature] = good.split('.');
    await verifier.verify(good);
    const others = [
      [encode('{"alg":"RS256"}'), payload, signature],
      [header, encode(JSON.stringify({ iss: site.issuer, aud: site.service, exp: seconds(300) })), signature],
      [header, payload, `${signature}AAAA`],
    ];
    for (const other of others) await expect(verifier.verify(other.join('.'))).rejects.toBeInstanceOf(InvalidToken);
  });

  it('does not outlive exp and its leeway', async () => {
    const { verifier, state } = verifierOf();
    const exp = seconds(300);
    const good = claims({ exp });
    await verifier.verify(good);
    state.now = exp * 1_000 + 59_999;
    await expect(verifier.verify(good)).resolves.toBeDefined();
    state.now = exp * 1_000 + 60_000;
    await expect(verifier.verify(good)).rejects.toMatchObject({ reason: 'expired' });
  });

  it('does not forget nbf', async () => {
    const { verifier, state } = verifierOf();
    const nbf = seconds(0);
    const good = claims({ nbf });
    await verifier.verify(good);
    state.now = nbf * 1_000 - 60_001;
    await expect(verifier.verify(good)).rejects.toMatchObject({ reason: 'not valid yet' });
  });

  it('ends with the keys', async () => {
    const { verifier, state } = verifierOf();
    const good = token();
    await verifier.verify(good);
    state.keys = trusting(privateKeyOf(privatePem('rsa')));
    await expect(verifier.verify(good)).rejects.toMatchObject({ reason: 'signed by no key of ours' });
    state.keys = trusting(rsa);
    await expect(verifier.verify(good)).resolves.toBeDefined();
  });

  it('does not take up what was found good by keys that have gone since', async () => {
    const { verifier, state } = verifierOf();
    const good = token();
    const started = verifier.verify(good);
    state.keys = trusting(ec);
    const after = expect(verifier.verify(good)).rejects.toMatchObject({ reason: 'algorithm not accepted' });
    await Promise.all([started, after]);
    await expect(verifier.verify(good)).rejects.toMatchObject({ reason: 'algorithm not accepted' });
  });

  it('holds no bad token', async () => {
    const { verifier, state } = verifierOf();
    const bad = token({ key: privateKeyOf(privatePem('rsa')) });
    await expect(verifier.verify(bad)).rejects.toThrow();
    state.keys = trusting(rsa, privateKeyOf(privatePem('rsa')));
    await expect(verifier.verify(bad)).rejects.toThrow();
    expect(state.tried).toBe(2);
  });

  it('is not driven out by bad tokens', async () => {
    const { verifier, state } = verifierOf(trusting(rsa), { cacheBytes: 2_000 });
    const good = token();
    await verifier.verify(good);
    for (let count = 0; count < 5; count += 1) {
      await expect(verifier.verify(`${good.slice(0, -6)}${100_000 + count}`)).rejects.toThrow();
    }
    const before = state.tried;
    await verifier.verify(good);
    expect(state.tried).toBe(before);
  });

  it('is bounded', async () => {
    const { verifier, state } = verifierOf(trusting(rsa), { cacheBytes: 2_000 });
    const tokens = ['a', 'b', 'c'].map((jti) => claims({ jti }));
    for (const each of tokens) await verifier.verify(each);
    await verifier.verify(tokens[0]!);
    expect(state.tried).toBe(4);
  });

  it('is bounded by what the tokens say, too', async () => {
    const { verifier, state } = verifierOf(trusting(rsa), { cacheBytes: 12_000 });
    const tokens = ['a', 'b', 'c'].map((jti) => claims({ jti, sub: jti.repeat(1_200) }));
    for (const each of tokens) await verifier.verify(each);
    await verifier.verify(tokens[2]!);
    expect(state.tried).toBe(3);
    await verifier.verify(tokens[0]!);
    expect(state.tried).toBe(4);
  });
});
