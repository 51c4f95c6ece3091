// Who may read: every token that is not good for what it asks is refused here, and no registry hears of it.
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { repositoryAccess, type Access, type TokenOverrides } from '../support/token.ts';
import { waitFor } from '../support/tool.ts';
import { pushToBoth } from './local-copy.ts';
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

function challenge(needed: string | undefined, error?: string): string {
  const parts = { realm: site.tokens.realm, service: 'container_registry', scope: needed, error };
  const given = Object.entries(parts).filter(([, value]) => value !== undefined);
  return `Bearer ${given.map(([key, value]) => `${key}="${value}"`).join(',')}`;
}

function expectRefusal(answer: Answer, needed: string | undefined, error?: string): void {
  expect(answer.status).toBe(401);
  expect(answer.headers).toMatchObject({
    'www-authenticate': challenge(needed, error),
    'content-type': 'application/json; charset=utf-8',
    'docker-distribution-api-version': 'registry/2.0',
  });
  expect(answer.headers).not.toHaveProperty('etag');
  expect(answer.headers).not.toHaveProperty('docker-content-digest');
}

/** Asks for everything with one token; all of it is refused, and nobody else hears of it. */
async function expectRefusedEverywhere(token: string, error: string | undefined): Promise<void> {
  for (const [path, needed] of [...paths.map((path) => [path, scope]), ['_catalog', 'registry:catalog:*']]) {
    const answer = await site.ask(path!, { token });
    expectRefusal(answer, needed, error);
    expect(answer.code).toBe('UNAUTHORIZED');
    const head = await site.ask(path!, { token, method: 'HEAD' });
    expectRefusal(head, needed, error);
    expect(head.body.length).toBe(0);
  }
  expect(site.relay.count() + site.localRelay.count()).toBe(0);
}

test('without a token everything is refused with the scope that it needs', async () => {
  await expectRefusedEverywhere('', undefined);
  expectRefusal(await site.ask('', { token: '' }), undefined);
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
  expectRefusal(await site.ask('', { token: given }), undefined, 'invalid_token');
  await expectRefusedEverywhere(given, 'invalid_token');
});

test('a good token opens all of it', async () => {
  for (const path of paths.slice(0, -1)) {
    expect((await site.ask(path, { token: signed({}), method: 'HEAD' })).status).toBe(200);
  }
  expect((await site.ask('_catalog', { token: signed({}) })).status).toBe(200);
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
  expectRefusal(await site.ask(`grp/other/manifests/v1`, { token }), 'repository:grp/other:pull', 'insufficient_scope');
});

test('the catalog takes no token of a repository called catalog', async () => {
  const token = site.tokenFor([repositoryAccess('catalog', '*')]);
  expectRefusal(await site.ask('_catalog', { token }), 'registry:catalog:*', 'insufficient_scope');
});

test('a token that expires after it was found good is refused from then on', async () => {
  // Three seconds of the minute that clocks may differ by are left.
  const token = signed({ expiresIn: -57 });
  const ask = (): Promise<Answer> => site.ask(`${name}/manifests/${warm.digest}`, { token });
  expect((await ask()).status).toBe(200);
  await waitFor(async () => (await ask()).status === 401, { what: 'the end of the token' });
  expectRefusal(await ask(), scope, 'invalid_token');
});

describe('the header', () => {
  const ask = (...values: string[]): Promise<WireAnswer> =>
    send(site.proxy.url, `GET /v2/${name}/manifests/${warm.digest}`, { Authorization: values });

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
    const answer = await ask(header());
    expect({ status: answer.status, code: answer.code }).toEqual({ status: 401, code: 'UNAUTHORIZED' });
    expect(answer.headers['www-authenticate']).toBe(challenge(scope));
    expect(site.relay.count() + site.localRelay.count()).toBe(0);
  });

  test.each(['bearer', 'BEARER', 'Bearer  '])('with the scheme "%s" is one', async (scheme) => {
    expect((await ask(`${scheme} ${site.pullToken(name)}`)).status).toBe(200);
  });

  test('that comes twice counts the first time', async () => {
    const [good, bad] = [`Bearer ${site.pullToken(name)}`, 'Bearer garbage'];
    expect((await ask(good, bad)).status).toBe(200);
    expect((await ask(bad, good)).status).toBe(401);
  });

  test('is nothing that a query or another header can stand in for', async () => {
    const token = site.pullToken(name);
    const path = `${name}/manifests/${warm.digest}`;
    expectRefusal(await site.ask(`${path}?access_token=${token}&token=${token}`, { token: '' }), scope);
    const headers = { cookie: `token=${token}`, 'x-authorization': `Bearer ${token}`, 'proxy-authorization': token };
    expectRefusal(await site.ask(path, { token: '', headers }), scope);
  });
});

describe('with keys that change', () => {
  let bundle: string;
  const strangers = (): string => signed({ key: stranger.privateKey });
  const statusOf = async (token: string): Promise<number> =>
    (await site.ask(`${name}/manifests/${warm.digest}`, { token })).status;

  beforeAll(async () => {
    bundle = join(site.dataDir, 'bundle.pem');
    await writeFile(bundle, site.keys.certPem);
    await site.restart({ GEO_CERT_FILE: bundle });
    await rememberWarm();
  });
  afterEach(async () => {
    await writeFile(bundle, site.keys.certPem);
    site.proxy.reload();
  });
  afterAll(() => site.restart());

  test('another certificate is taken up at once when told so', async () => {
    expect([await statusOf(signed({})), await statusOf(strangers())]).toEqual([200, 401]);
    await writeFile(bundle, site.keys.certPem + stranger.certPem);
    site.proxy.reload();
    expect([await statusOf(signed({})), await statusOf(strangers())]).toEqual([200, 200]);
  });

  test('a token that was found good ends with its key', async () => {
    const token = signed({});
    expect(await statusOf(token)).toBe(200);
    await writeFile(bundle, stranger.certPem);
    site.proxy.reload();
    expect([await statusOf(token), await statusOf(strangers())]).toEqual([401, 200]);
  });

  test('a file that changed is noticed without a word', async () => {
    const token = strangers();
    expect(await statusOf(token)).toBe(401);
    await writeFile(bundle, stranger.certPem);
    await waitFor(async () => (await statusOf(token)) === 200, { what: 'the other key' });
  });

  test('a file that holds no certificate leaves the keys as they are', async () => {
    await writeFile(bundle, 'nothing');
    site.proxy.reload();
    expect([await statusOf(signed({})), await statusOf(strangers())]).toEqual([200, 401]);
    const lines = site.log.filter(({ msg }) => msg === 'keeping the old keys');
    expect(lines.at(-1)).toMatchObject({ level: 50, reason: expect.stringContaining(bundle) });
  });
});

describe('with GEO_CLIENT_AUTH=none', () => {
  beforeAll(() => site.restart({ GEO_CLIENT_AUTH: 'none' }));
  afterAll(() => site.restart());

  test.each([
    ['no token', ''],
    ['a token that is none', 'garbage'],
  ])('everyone reads, with %s', async (_what, token) => {
    for (const path of ['', ...paths.slice(0, -1), '_catalog']) {
      expect((await site.ask(path, { token, method: 'HEAD' })).status).toBe(200);
    }
    expect((await site.ask(`${name}/blobs/${stored.digest}`, { token })).body.equals(stored.bytes)).toBe(true);
  });

  test('the log says so loudly', () => {
    expect(site.log.filter(({ level, msg }) => level === 40 && /GEO_CLIENT_AUTH/.test(String(msg)))).toHaveLength(1);
  });
});

test('no token and nothing of the key is in the log, whatever happens', async () => {
  const secrets = new Set<string>();
  const ask = async (path: string, token: string): Promise<number> => {
    for (const part of [token, token.split('.')[1], token.split('.')[2]]) if (part !== undefined) secrets.add(part);
    return (await site.ask(path, { token })).status;
  };
  onTestFinished(() => Promise.all([site.relay.up(), site.localRelay.up()]).then(() => undefined));
  for (const { token } of invalid) await ask(paths[0]!, token());
  const unknown = `${name}/blobs/${blob(10, 'unknown').digest}`;
  expect(await ask(unknown, signed({}))).toBe(404);
  site.relay.rules.push({ match: ({ path }) => path.endsWith('v1'), answer: { status: 401 } });
  expect(await ask(`${name}/manifests/v1`, signed({}))).toBeGreaterThanOrEqual(200);
  const minted = [...site.relay.requests, ...site.localRelay.requests].map(
    ({ headers }) => headers.authorization ?? '',
  );
  expect(minted.length).toBeGreaterThan(2);
  await Promise.all([site.relay.down(), site.localRelay.down()]);
  expect(await ask(unknown, signed({}))).toBe(503);
  for (const text of minted)
    for (const part of text
      .replace(/^Bearer /, '')
      .split('.')
      .slice(1))
      secrets.add(part);
  const pem = await readFile(site.keys.keyFile, 'utf8');
  for (const line of pem.split('\n').filter((text) => text.length > 20 && !text.startsWith('-----'))) secrets.add(line);
  const written = JSON.stringify(site.log);
  expect(site.log.length).toBeGreaterThan(30);
  // Too short to be a secret, and found in any text.
  const found = [...secrets].filter((secret) => secret.length > 20 && written.includes(secret));
  expect(found).toEqual([]);
});
