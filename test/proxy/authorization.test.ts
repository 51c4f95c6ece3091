// Who may read: every token that is not good for what it asks is refused here, and no registry hears of it.
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { repositoryAccess, type Access, type TokenOverrides } from '../support/token.ts';
import { pushToBoth } from './local-copy.ts';
import { challengeOf, expectRefusal } from './refusal.ts';
import { send, type WireAnswer } from './wire.ts';

let site: ProxySite;
let stranger: SiteKeys;
const name = 'grp/proj';
const [cold, warm] = [image('authorization cold'), image('authorization warm')];
const stored = blob(3_000, 'authorization stored');

beforeAll(async () => {
  [site, stranger] = await Promise.all([startProxySite(), createSiteKeys()]);
  await pushImage(site.primaryTarget(name), 'v1', cold);
  await pushToBoth(site, name, 'warm', warm);
  await pushBlob(site.secondaryTarget(name), stored);
  await rememberWarm();
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(async () => {
  await Promise.all([site.close(), stranger.remove()]);
});

/** Brings a manifest into memory, so that nothing but the door keeps anybody from it. */
async function rememberWarm(): Promise<void> {
  expect((await site.ask(`${name}/manifests/${warm.digest}`)).status).toBe(200);
  site.localRelay.reset();
}

const now = (): number => Math.floor(Date.now() / 1_000);
const catalog: Access = { type: 'registry', name: 'catalog', actions: ['*'] };
const scope = `repository:${name}:pull`;

/** A token that would open everything, but for what is changed in it. */
const signed = (overrides: TokenOverrides): string =>
  site.tokenFor([repositoryAccess(name, 'pull'), catalog], overrides);
const publicPem = (): string =>
  createPublicKey(site.keys.privateKey).export({ type: 'spki', format: 'pem' }).toString();

interface Wrong {
  readonly what: string;
  readonly token: () => string;
}

const ofOthers: (Wrong & { readonly access: readonly unknown[] })[] = [
  { what: 'nothing', access: [] },
  { what: 'another repository', access: [repositoryAccess('grp/other', 'pull')] },
  { what: 'a prefix of its path', access: [repositoryAccess('grp', 'pull')] },
  { what: 'a prefix of its name', access: [repositoryAccess('grp/pro', 'pull')] },
  { what: 'what is below it', access: [repositoryAccess('grp/proj/sub', 'pull')] },
  { what: 'its name with a slash', access: [repositoryAccess('grp/proj/', 'pull')] },
  { what: 'its name in upper case', access: [repositoryAccess('GRP/PROJ', 'pull')] },
  { what: 'a star', access: [repositoryAccess('*', '*')] },
  { what: 'a pattern', access: [repositoryAccess('grp/*', 'pull')] },
  { what: 'push only', access: [repositoryAccess(name, 'push')] },
  { what: 'push and delete', access: [repositoryAccess(name, 'push', 'delete')] },
  { what: 'no action', access: [repositoryAccess(name)] },
  { what: 'an action that begins with pull', access: [repositoryAccess(name, 'pull,push')] },
  { what: 'another type', access: [{ type: 'registry', name, actions: ['pull'] }] },
  { what: 'a plugin', access: [{ type: 'repository(plugin)', name, actions: ['pull'] }] },
  { what: 'actions that are no list', access: [{ type: 'repository', name, actions: 'pull' }] },
  { what: 'pull of the catalog', access: [{ type: 'registry', name: 'catalog', actions: ['pull'] }] },
].map((wrong) => ({ ...wrong, token: () => site.tokenFor(wrong.access as Access[]) }));

const withJwk = (): TokenOverrides => {
  const jwk = createPublicKey(stranger.privateKey).export({ format: 'jwk' });
  return { key: stranger.privateKey, header: { jwk, kid: undefined } };
};
const withX5c = (): TokenOverrides => {
  const x5c = [new X509Certificate(stranger.certPem).raw.toString('base64')];
  return { key: stranger.privateKey, header: { x5c, kid: undefined } };
};
const ourKeyId = (): string => JSON.parse(Buffer.from(signed({}).split('.')[0]!, 'base64url').toString()).kid as string;

const invalid: Wrong[] = [
  { what: 'an expired one', token: () => signed({ expiresIn: -120 }) },
  { what: 'one that is not valid yet', token: () => signed({ claims: { nbf: now() + 120 } }) },
  { what: 'one without an end', token: () => signed({ claims: { exp: undefined } }) },
  { what: 'one whose end is a text', token: () => signed({ claims: { exp: '9999999999' } }) },
  { what: 'one of another issuer', token: () => signed({ claims: { iss: 'somebody-else' } }) },
  { what: 'one without an issuer', token: () => signed({ claims: { iss: undefined } }) },
  { what: 'one for another audience', token: () => signed({ claims: { aud: 'other_service' } }) },
  { what: 'one without an audience', token: () => signed({ claims: { aud: undefined } }) },
  { what: 'one of another key', token: () => signed({ key: stranger.privateKey }) },
  {
    what: 'one of another key under our key id',
    token: () => signed({ key: stranger.privateKey, header: { kid: ourKeyId() } }),
  },
  {
    what: 'one of a key of another type',
    token: () => signed({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }),
  },
  { what: 'one without a signature', token: () => signed({ header: { alg: 'none' } }) },
  { what: 'one with alg None', token: () => signed({ header: { alg: 'none', typ: 'JWT' } }).replace(/^[^.]+/, none) },
  { what: 'one whose signature was cut off', token: () => signed({}).replace(/[^.]+$/, '') },
  {
    what: 'one of three parts, the last of another',
    token: () => swapSignature(signed({}), signed({ expiresIn: 30 })),
  },
  { what: 'an HMAC with the public key', token: () => signed({ key: Buffer.from(publicPem()) }) },
  {
    what: 'an HMAC with the public key cut to its line',
    token: () => signed({ key: Buffer.from(publicPem().trim()) }),
  },
  { what: 'an HMAC with the certificate', token: () => signed({ key: Buffer.from(site.keys.certPem) }) },
  {
    what: 'an HMAC that names our key',
    token: () => signed({ key: Buffer.from(publicPem()), header: { kid: ourKeyId() } }),
  },
  { what: 'one that brings a stranger’s jwk', token: () => signed(withJwk()) },
  { what: 'one that brings a stranger’s x5c', token: () => signed(withX5c()) },
  { what: 'one with a critical header', token: () => signed({ header: { crit: ['b64'], b64: false } }) },
  { what: 'garbage', token: () => 'garbage' },
  { what: 'garbage with dots', token: () => 'a.b.c' },
  { what: 'five parts', token: () => 'a.b.c.d.e' },
  { what: 'JSON that is none', token: () => `${btoa('{"alg":')}.${btoa('{}')}.xx`.replaceAll('=', '') },
  { what: '20,000 characters', token: () => `${signed({})}${'A'.repeat(20_000)}` },
];

const none = Buffer.from('{"alg":"None","typ":"JWT"}').toString('base64url');
const swapSignature = (token: string, other: string): string =>
  [...token.split('.').slice(0, 2), other.split('.')[2]].join('.');

/** What lies at hand in every way: cold, in memory, in the secondary, and the lists. */
const paths = [
  `${name}/manifests/v1`,
  `${name}/manifests/${cold.digest}`,
  `${name}/manifests/${warm.digest}`,
  `${name}/blobs/${cold.blobs[1]!.digest}`,
  `${name}/blobs/${stored.digest}`,
  `${name}/tags/list`,
  `${name}/referrers/${warm.digest}`,
];

/** Asks for everything with one token; all of it is refused, and nobody else hears of it. */
async function expectRefusedEverywhere(token: string, error: string | undefined): Promise<void> {
  for (const [path, needed] of [...paths.map((path) => [path, scope]), ['_catalog', 'registry:catalog:*']]) {
    const answer = await site.ask(path!, { token });
    expectRefusal(site, answer, needed, error);
    expect(answer.code).toBe('UNAUTHORIZED');
    const head = await site.ask(path!, { token, method: 'HEAD' });
    expectRefusal(site, head, needed, error);
    expect(head.body.length).toBe(0);
  }
  expect(site.relay.count() + site.localRelay.count()).toBe(0);
}

test('without a token everything is refused with the scope that it needs', async () => {
  await expectRefusedEverywhere('', undefined);
  expectRefusal(site, await site.ask('', { token: '' }), undefined);
});

test('the body names what is needed as Distribution does', async () => {
  const { body } = await site.ask(`${name}/manifests/v1`, { token: '' });
  const detail = [{ Type: 'repository', Class: '', Name: name, Action: 'pull' }];
  expect(JSON.parse(body.toString())).toEqual({
    errors: [{ code: 'UNAUTHORIZED', message: 'authentication required', detail }],
  });
});

test.each(ofOthers)('a token for $what is refused, but opens /v2/', async ({ token }) => {
  const given = token();
  expect((await site.ask('', { token: given })).status).toBe(200);
  await expectRefusedEverywhere(given, 'insufficient_scope');
});

test.each(invalid)('$what is refused, at /v2/ too', async ({ token }) => {
  const given = token();
  expectRefusal(site, await site.ask('', { token: given }), undefined, 'invalid_token');
  await expectRefusedEverywhere(given, 'invalid_token');
});

test.each<[what: string, overrides: TokenOverrides]>([
  ['ended less than a minute ago', { expiresIn: -30 }],
  ['begins within a minute', { claims: { nbf: now() + 30 } }],
  ['does not say when it begins', { claims: { nbf: undefined } }],
  ['has no id and no time of issue', { claims: { jti: undefined, iat: undefined } }],
  ['names no key', { header: { kid: undefined } }],
  ['is signed RS512', { header: { alg: 'RS512' } }],
])('a token that %s is good', async (_what, overrides) => {
  const answer = await site.ask(`${name}/manifests/${warm.digest}`, { token: signed(overrides) });
  expect(answer.status).toBe(200);
});

test('the action * reads, and one token reads every repository that it names', async () => {
  const other = image('authorization other');
  await pushToBoth(site, 'grp/other', 'v1', other);
  const token = site.tokenFor([repositoryAccess('grp/other', '*'), repositoryAccess(name, 'pull')]);
  expect((await site.ask(`grp/other/manifests/${other.digest}`, { token })).status).toBe(200);
  expect((await site.ask(`${name}/manifests/${warm.digest}`, { token })).status).toBe(200);
});

test('a token that was found good for one repository is still none for another', async () => {
  const token = site.pullToken(name);
  expect((await site.ask(`${name}/manifests/${warm.digest}`, { token })).status).toBe(200);
  expectRefusal(
    site,
    await site.ask(`grp/other/manifests/v1`, { token }),
    'repository:grp/other:pull',
    'insufficient_scope',
  );
});

test('the catalog takes no token of a repository called catalog', async () => {
  const token = site.tokenFor([repositoryAccess('catalog', '*')]);
  expectRefusal(site, await site.ask('_catalog', { token }), 'registry:catalog:*', 'insufficient_scope');
});

function askWith(...values: string[]): Promise<WireAnswer> {
  return send(site.proxy.url, `GET /v2/${name}/manifests/${warm.digest}`, { Authorization: values });
}

describe('the header', () => {
  test.each<[what: string, header: () => string]>([
    ['Basic', () => `Basic ${btoa('user:password')}`],
    ['Basic with a good token as the password', () => `Basic ${btoa(`user:${site.pullToken(name)}`)}`],
    ['no scheme', () => site.pullToken(name)],
    ['another scheme', () => `Token ${site.pullToken(name)}`],
    ['no token', () => 'Bearer'],
    ['an empty token', () => 'Bearer '],
    ['two tokens in one', () => `Bearer ${site.pullToken(name)}, Bearer ${site.pullToken(name)}`],
    ['a tail', () => `Bearer ${site.pullToken(name)} x`],
  ])('with %s is no Bearer token', async (_what, header) => {
    const answer = await askWith(header());
    expect({ status: answer.status, code: answer.code }).toEqual({ status: 401, code: 'UNAUTHORIZED' });
    expect(answer.headers['www-authenticate']).toBe(challengeOf(site, scope));
    expect(site.relay.count() + site.localRelay.count()).toBe(0);
  });

  test.each(['bearer', 'BEARER', 'Bearer  '])('with the scheme "%s" is one', async (scheme) => {
    expect((await askWith(`${scheme} ${site.pullToken(name)}`)).status).toBe(200);
  });

  test('that comes twice counts the first time', async () => {
    const [good, bad] = [`Bearer ${site.pullToken(name)}`, 'Bearer garbage'];
    expect((await askWith(good, bad)).status).toBe(200);
    expect((await askWith(bad, good)).status).toBe(401);
  });

  test('is nothing that a query or another header can stand in for', async () => {
    const token = site.pullToken(name);
    const path = `${name}/manifests/${warm.digest}`;
    expectRefusal(site, await site.ask(`${path}?access_token=${token}&token=${token}`, { token: '' }), scope);
    const headers = { cookie: `token=${token}`, 'x-authorization': `Bearer ${token}`, 'proxy-authorization': token };
    expectRefusal(site, await site.ask(path, { token: '', headers }), scope);
  });
});

// The last, since what it pulls is stored in the background, and the others count requests.
test('a good token opens all of it', async () => {
  for (const path of paths.slice(0, -1)) {
    expect((await site.ask(path, { token: signed({}), method: 'HEAD' })).status).toBe(200);
  }
  expect((await site.ask('_catalog', { token: signed({}) })).status).toBe(200);
});
