import { createPublicKey } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createGate } from '../../src/auth/authorize.ts';
import { libtrustId } from '../../src/auth/key-id.ts';
import { KeyRing, type KeySet } from '../../src/auth/key-ring.ts';
import { pullAccess, pushAccess, catalogAccess, type Access } from '../../src/auth/scope.ts';
import { Verifier } from '../../src/auth/verify.ts';
import { OciError } from '../../src/oci/error.ts';
import { parsePath } from '../../src/oci/path.ts';
import { signToken, type TokenOverrides } from '../support/token.ts';
import { certificateOf, privateKeyOf, privatePem, scratch } from './pem.ts';

const REALM = 'https://gitlab.example.com/jwt/auth';
const key = privateKeyOf(privatePem('rsa'));
const stranger = privateKeyOf(privatePem('rsa'));
const site = { key, issuer: 'omnibus-gitlab-issuer', service: 'container_registry' };
const keys: KeySet = { version: 1, trusted: [createPublicKey(key)] };
const ourId = libtrustId(key);
const manifest = '/v2/group/project/manifests/latest';

function gateOf(ring: { current(): KeySet } = { current: () => keys }, clock = Date.now) {
  const verifier = new Verifier({ keys: ring, issuer: site.issuer, audience: site.service, clock });
  return createGate({ verifier, realm: REALM, service: site.service });
}

const gate = gateOf();

function token(access: readonly Access[] = [pullAccess('group/project')], overrides: TokenOverrides = {}): string {
  return signToken(site, access, overrides);
}

function claims(changes: Record<string, unknown>): string {
  return token(undefined, { claims: changes });
}

function now(offset: number): number {
  return Math.floor(Date.now() / 1_000) + offset;
}

function authorize(bearer: string, path = manifest) {
  return gate.authorize(`Bearer ${bearer}`, parsePath(path));
}

function challenge(scope?: string, error?: string): string {
  const more = [scope && `scope="${scope}"`, error && `error="${error}"`].filter(Boolean).map((text) => `,${text}`);
  return `Bearer realm="${REALM}",service="container_registry"${more.join('')}`;
}

/** The refusal of a request, which must be one in the specification's form. */
async function refusal(answer: Promise<unknown>): Promise<OciError> {
  const error: unknown = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(OciError);
  expect(error).toMatchObject({ code: 'UNAUTHORIZED', status: 401, message: 'authentication required' });
  return error as OciError;
}

describe('the gate opens', () => {
  it.each([
    ['a manifest', manifest],
    ['a blob', `/v2/group/project/blobs/sha256:${'0'.repeat(64)}`],
    ['the tags', '/v2/group/project/tags/list'],
    ['the referrers', `/v2/group/project/referrers/sha256:${'0'.repeat(64)}`],
  ])('%s to a token that may pull', async (_what, path) => {
    expect(await authorize(token(), path)).toMatchObject({ canPush: false });
  });

  it.each([
    ['push', pushAccess('group/project')],
    ['*', { ...pullAccess('group/project'), actions: ['*'] }],
  ])('and says so when the token carries %s', async (_what, access) => {
    expect(await authorize(token([access]))).toMatchObject({ canPush: true });
  });

  it('and does not say so when it carries push for another repository', async () => {
    const access = [pullAccess('group/project'), pushAccess('group/other')];
    expect(await authorize(token(access))).toMatchObject({ canPush: false });
  });

  it('/v2/ to any valid token', async () => {
    expect(await authorize(token([]), '/v2/')).toMatchObject({ canPush: false });
  });

  it('the catalog to a token for it', async () => {
    expect(await authorize(token([catalogAccess()]), '/v2/_catalog')).toMatchObject({ canPush: false });
  });

  it.each(['bearer', 'BEARER', 'Bearer '])('to the scheme as %s', async (scheme) => {
    expect(await gate.authorize(`${scheme} ${token()}`, parsePath(manifest))).toMatchObject({ canPush: false });
  });

  it('everything to everyone where clients are not authenticated', async () => {
    const open = createGate({ realm: REALM, service: site.service });
    expect(await open.authorize(undefined, parsePath(manifest))).toMatchObject({ canPush: 'unknown' });
  });
});

describe('the gate tells who brings no token', () => {
  it.each([
    [manifest, 'repository:group/project:pull'],
    ['/v2/_catalog', 'registry:catalog:*'],
    ['/v2/', undefined],
  ])('what %s needs', async (path, scope) => {
    const error = await refusal(gate.authorize(undefined, parsePath(path)));
    expect(error.headers).toEqual({ 'www-authenticate': challenge(scope) });
  });

  it("in the body's detail too", async () => {
    const error = await refusal(gate.authorize(undefined, parsePath(manifest)));
    expect(error.detail).toEqual([{ Type: 'repository', Class: '', Name: 'group/project', Action: 'pull' }]);
  });

  it.each(['', 'Bearer', 'Bearer ', 'Basic dXNlcjpwYXNz', 'Bearerx', 'Bearer a, Bearer b', 'Bearer a b', 'garbage'])(
    'with the header %j',
    async (header) => {
      const error = await refusal(gate.authorize(header, parsePath(manifest)));
      expect(error.headers['www-authenticate']).toBe(challenge('repository:group/project:pull'));
    },
  );
});

describe('the gate stays shut for a token', () => {
  it.each([
    ['of another repository', [pullAccess('group/other')]],
    ["of a prefix of the repository's name", [pullAccess('group')]],
    ['of a repository below it', [pullAccess('group/project/sub')]],
    ['of a pattern', [pullAccess('group/*'), pullAccess('*')]],
    ['for push only', [{ ...pullAccess('group/project'), actions: ['push'] }]],
    ['for the catalog', [catalogAccess()]],
    ['without access', []],
  ])('%s: its scope is insufficient', async (_what, access) => {
    const error = await refusal(authorize(token(access)));
    expect(error.headers['www-authenticate']).toBe(challenge('repository:group/project:pull', 'insufficient_scope'));
  });

  it('of a repository that asks for the catalog', async () => {
    const error = await refusal(authorize(token(), '/v2/_catalog'));
    expect(error.headers['www-authenticate']).toBe(challenge('registry:catalog:*', 'insufficient_scope'));
  });

  it.each<[string, () => string]>([
    ['that is expired', () => token(undefined, { expiresIn: -61 })],
    ['that is not yet valid', () => claims({ nbf: now(120) })],
    ['of another issuer', () => claims({ iss: 'gitlab-issuer' })],
    ['of an issuer that is a list', () => claims({ iss: [site.issuer] })],
    ['for another audience', () => claims({ aud: 'dependency_proxy' })],
    ['for other audiences', () => claims({ aud: ['a', 'b'] })],
    ['without exp', () => claims({ exp: undefined })],
    ['signed by another key', () => token(undefined, { key: stranger })],
    ["signed by another key under our key's id", () => token(undefined, { key: stranger, header: { kid: ourId } })],
    ['with the algorithm none', () => token(undefined, { header: { alg: 'none' } })],
    ['with the algorithm None', () => `${encoded({ alg: 'None' })}.${token().split('.')[1]}.`],
    [
      'whose secret is our public key',
      () => hmac(Buffer.from(keys.trusted[0]!.export({ type: 'spki', format: 'pem' }))),
    ],
    ["whose secret is our public key's DER", () => hmac(keys.trusted[0]!.export({ type: 'spki', format: 'der' }))],
    ["with a stranger's jwk", () => token(undefined, { key: stranger, header: { jwk: jwk() } })],
    [
      "with a stranger's jwk of our key's id",
      () => token(undefined, { key: stranger, header: { jwk: jwk(), kid: ourId } }),
    ],
    ["with a stranger's x5c", () => token(undefined, { key: stranger, header: { x5c: [strangersCertificate()] } })],
    ["with a stranger's jku", () => token(undefined, { key: stranger, header: { jku: 'https://evil.example/keys' } })],
    ['whose claims were changed', () => withClaims(token([]), [pullAccess('group/project')])],
    ['that is garbage', () => 'a.b.c'],
    ['that is a word', () => 'garbage'],
    ['that is very long', () => 'x'.repeat(100_000)],
  ])('%s: it is invalid', async (_what, make) => {
    const error = await refusal(authorize(make()));
    expect(error.headers['www-authenticate']).toBe(challenge('repository:group/project:pull', 'invalid_token'));
  });

  it.each(['/v2/', '/v2/_catalog', manifest])('that is invalid, on %s', async (path) => {
    const error = await refusal(authorize(token(undefined, { key: stranger }), path));
    expect(error.headers['www-authenticate']).toContain('error="invalid_token"');
  });

  it('and tells the log why, without the token', async () => {
    const bad = claims({ iss: 'mallory' });
    const error = await refusal(authorize(bad));
    expect(String(error.cause)).toBe('InvalidToken: invalid token: other issuer');
    expect(JSON.stringify([error, error.cause, error.stack])).not.toContain(bad.split('.')[1]);
  });

  it('that was good until it ended', async () => {
    let time = Date.now();
    const moving = gateOf({ current: () => keys }, () => time);
    const bearer = `Bearer ${token()}`;
    await moving.authorize(bearer, parsePath(manifest));
    time += 361_000;
    const error = await refusal(moving.authorize(bearer, parsePath(manifest)));
    expect(error.headers['www-authenticate']).toContain('error="invalid_token"');
  });

  it('that was good until its key was replaced in its file', async () => {
    using directory = scratch();
    const keyFile = directory.path('key');
    const [before, after] = [privatePem('P-256'), privatePem('P-256')];
    writeFileSync(keyFile, before);
    const ring = new KeyRing({ keyFile, onError: () => undefined });
    const rotating = gateOf(ring);
    const old = bearerOf(before);
    await rotating.authorize(old, parsePath(manifest));
    writeFileSync(directory.path('new'), after);
    renameSync(directory.path('new'), keyFile);
    ring.reload();
    await refusal(rotating.authorize(old, parsePath(manifest)));
    expect(await rotating.authorize(bearerOf(after), parsePath(manifest))).toMatchObject({ canPush: false });
  });
});

function bearerOf(pem: string): string {
  return `Bearer ${token(undefined, { key: privateKeyOf(pem) })}`;
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function hmac(secret: Buffer): string {
  return token(undefined, { key: secret, header: { alg: 'HS256' } });
}

function jwk(): unknown {
  return createPublicKey(stranger).export({ format: 'jwk' });
}

function strangersCertificate(): string {
  using directory = scratch();
  writeFileSync(directory.path('key'), stranger.export({ type: 'pkcs8', format: 'pem' }));
  return certificateOf(directory.path('key')).replace(/-----.*-----|\s/g, '');
}

function withClaims(bearer: string, access: readonly Access[]): string {
  const [header, payload = '', signature] = bearer.split('.');
  const changed = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), access };
  return [header, encoded(changed), signature].join('.');
}

async function shareOf(changes: Record<string, unknown>): Promise<string> {
  return (await authorize(claims(changes))).share;
}

describe('the share that a request is served in', () => {
  it('is the subject’s, however many tokens it has', async () => {
    const [one, other, third] = [
      await shareOf({ sub: 'ci' }),
      await shareOf({ sub: 'ci' }),
      await shareOf({ sub: 'x' }),
    ];
    expect(one).toBe(other);
    expect(third).not.toBe(one);
  });

  it.each([undefined, '', 7])('is the token’s where the subject is %o', async (sub) => {
    const text = claims({ sub });
    const { share } = await authorize(text);
    expect((await authorize(text)).share).toBe(share);
    expect(await shareOf({ sub })).not.toBe(share);
  });

  it('is the repository’s where clients have no tokens', async () => {
    const open = createGate({ realm: REALM, service: site.service });
    const share = async (path: string): Promise<string> => (await open.authorize(undefined, parsePath(path))).share;
    expect(await share('/v2/a/b/manifests/v1')).toBe(await share('/v2/a/b/tags/list'));
    expect(await share('/v2/a/c/manifests/v1')).not.toBe(await share('/v2/a/b/manifests/v1'));
  });
});
