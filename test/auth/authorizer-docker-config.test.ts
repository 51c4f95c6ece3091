import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, MockAgent } from 'undici';
import { afterAll, afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { catalogAccess, pullAccess, pushAccess } from '../../src/auth/scope.ts';
import { RegistryOutage } from '../../src/registry/answer.ts';
import { createCredentialReader } from '../../src/registry/authorizer-credentials.ts';
import { DockerConfigAuthorizer, type DockerConfigOptions } from '../../src/registry/authorizer-docker-config.ts';
import type { Authorizer } from '../../src/registry/authorizer.ts';
import { startTokenEndpoint, type TokenEndpoint } from './token-endpoint.ts';

const dispatcher = new Agent();
const directory = mkdtempSync(join(tmpdir(), 'geo-auth-'));
const file = join(directory, 'config.json');
const alice = { auth: Buffer.from('alice:s3cret').toString('base64') };
const bob = { auth: Buffer.from('bob:s3cret').toString('base64') };
const access = [pullAccess('group/project')];
const scope = 'repository:group/project:pull';

let endpoint: TokenEndpoint;
/** What the authorizers' clock says, in ms. */
let now: number;

beforeEach(async () => {
  endpoint = await startTokenEndpoint();
  now = 0;
});
afterEach(() => endpoint[Symbol.asyncDispose]());
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await dispatcher.close();
});

function setUp(auths: Record<string, unknown>, options: DockerConfigOptions = {}, registry = endpoint.url): Authorizer {
  writeFileSync(file, JSON.stringify({ auths }));
  const readCredentials = createCredentialReader({ files: [file], env: {} }, { clock: () => now });
  return new DockerConfigAuthorizer({ registry, readCredentials, dispatcher }, { clock: () => now, ...options });
}

function bearer(realm: string | URL = new URL('/token', endpoint.url), more = `,scope="${scope}"`): string {
  return `Bearer realm="${realm.toString()}",service="the registry"${more}`;
}

/** The token service under a name that is not the registry's. */
function elsewhere(): URL {
  return new URL(`http://localhost:${endpoint.url.port}/token`);
}

/** The authorizer of `alice` after its registry's first challenge. */
async function challenged(challenge = bearer(), options: DockerConfigOptions = {}): Promise<Authorizer> {
  const authorizer = setUp({ [endpoint.url.host]: alice }, options);
  expect(await authorizer.header(access)).toBeUndefined();
  expect(await authorizer.renew(access, challenge)).toBe(true);
  return authorizer;
}

/** The outage that an answer ends in, and everything that a log could print of it. */
async function outage(answer: Promise<unknown>): Promise<string> {
  const error: unknown = await answer.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RegistryOutage);
  const texts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) texts.push(at.stack ?? '', JSON.stringify(at));
  expect(texts.join('\n')).not.toMatch(new RegExp(['s3cret', alice.auth, 'refresh-me'].join('|')));
  return (error as Error).message;
}

describe('a Bearer challenge', () => {
  it("is answered with a token got for the registry's credentials", async () => {
    const authorizer = await challenged();
    expect(await authorizer.header(access)).toBe('Bearer token-1');
    expect(endpoint.seen).toHaveLength(1);
    const { method, path, query, authorization } = endpoint.seen[0]!;
    expect([method, path, authorization]).toEqual(['GET', '/token', `Basic ${alice.auth}`]);
    expect([...query]).toEqual([
      ['service', 'the registry'],
      ['scope', scope],
      ['account', 'alice'],
    ]);
  });

  it('is preferred to Basic', async () => {
    const authorizer = await challenged(`Basic realm="x", ${bearer()}`);
    expect(await authorizer.header(access)).toBe('Bearer token-1');
  });

  it("keeps the query of the realm's URL", async () => {
    await challenged(bearer(new URL('/token?tenant=1', endpoint.url)));
    expect(endpoint.seen[0]!.query.get('tenant')).toBe('1');
  });

  it('is answered without credentials where there are none', async () => {
    const authorizer = setUp({});
    expect(await authorizer.renew(access, bearer())).toBe(true);
    expect(await authorizer.header(access)).toBe('Bearer token-1');
    expect(endpoint.seen[0]!.authorization).toBeUndefined();
  });

  it('is answered with a registry token as it is', async () => {
    const authorizer = setUp({ [endpoint.url.host]: { registrytoken: 'jwt' } });
    expect(await authorizer.renew(access, bearer())).toBe(true);
    expect(await authorizer.header(access)).toBe('Bearer jwt');
    expect(endpoint.seen).toEqual([]);
  });

  it('is answered with an identity token by OAuth 2', async () => {
    endpoint.answer = () => ({ status: 200, body: '{"access_token":"access","refresh_token":"another"}' });
    const authorizer = setUp({ [endpoint.url.host]: { identitytoken: 'refresh-me' } });
    await authorizer.renew(access, bearer());
    expect(await authorizer.header(access)).toBe('Bearer access');
    const { method, form, query, authorization } = endpoint.seen[0]!;
    expect([method, authorization, [...query]]).toEqual(['POST', undefined, []]);
    expect(Object.fromEntries(form)).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-me',
      service: 'the registry',
      scope,
    });
  });

  it('that asks for more than we know of gets that too', async () => {
    await challenged(bearer(undefined, ',scope="repository:group/project:metadata_read"'));
    expect(endpoint.seen[0]!.query.getAll('scope')).toEqual([scope, 'repository:group/project:metadata_read']);
  });

  it('is answered with the credentials of the nearest namespace', async () => {
    const { host } = endpoint.url;
    const authorizer = setUp({ [host]: alice, [`${host}/group`]: bob });
    await authorizer.renew(access, bearer());
    await authorizer.header([catalogAccess()]);
    expect(endpoint.seen.map(({ authorization }) => authorization)).toEqual([
      `Basic ${bob.auth}`,
      `Basic ${alice.auth}`,
    ]);
  });
});

describe('a token', () => {
  it('is got per scope, each one once, without another challenge', async () => {
    const authorizer = await challenged();
    const others = [
      [pushAccess('group/project')],
      [pullAccess('group/project'), pullAccess('x')],
      [catalogAccess()],
      [],
    ];
    for (const other of [...others, ...others]) await authorizer.header(other);
    expect(endpoint.seen.slice(1).map(({ query }) => query.getAll('scope'))).toEqual([
      ['repository:group/project:pull,push'],
      [scope, 'repository:x:pull'],
      ['registry:catalog:*'],
      [],
    ]);
  });

  it.each([
    ['{"token":"a","expires_in":300}', 290],
    ['{"token":"a","expires_in":12}', 6],
    ['{"token":"a"}', 50],
    ['{"access_token":"a","expires_in":"soon"}', 50],
  ])('of %s is given out for %i s', async (body, seconds) => {
    endpoint.answer = () => ({ status: 200, body });
    const authorizer = await challenged();
    now = seconds * 1_000 - 1;
    await authorizer.header(access);
    expect(endpoint.seen).toHaveLength(1);
    now += 1;
    await authorizer.header(access);
    expect(endpoint.seen).toHaveLength(2);
  });

  it('is asked for once by many at once', async () => {
    const authorizer = await challenged();
    const other = [pullAccess('other')];
    const headers = await Promise.all(Array.from({ length: 20 }, () => authorizer.header(other)));
    expect(new Set(headers)).toEqual(new Set(['Bearer token-2']));
  });

  it('is renewed after a 401', async () => {
    const authorizer = await challenged();
    now = 10_000;
    expect(await authorizer.renew(access, bearer())).toBe(true);
    expect(await authorizer.header(access)).toBe('Bearer token-2');
  });

  it('is renewed once for many that were refused at once', async () => {
    const authorizer = await challenged();
    now = 10_000;
    const renewals = await Promise.all(Array.from({ length: 10 }, () => authorizer.renew(access, bearer())));
    renewals.push(await authorizer.renew(access, bearer()));
    expect(new Set(renewals)).toEqual(new Set([true]));
    expect(endpoint.seen).toHaveLength(2);
  });

  it('is got anew at once when the registry asks for more than it was got for', async () => {
    const authorizer = await challenged();
    expect(await authorizer.renew(access, bearer(undefined, ',scope="repository:group/project:more"'))).toBe(true);
    expect(endpoint.seen.at(-1)!.query.getAll('scope')).toEqual([scope, 'repository:group/project:more']);
    expect(await authorizer.header(access)).toBe('Bearer token-2');
  });

  it('is got with the credentials of now', async () => {
    const authorizer = await challenged();
    writeFileSync(file, JSON.stringify({ auths: { [endpoint.url.host]: bob } }));
    now = 10_000;
    await authorizer.renew(access, bearer());
    expect(endpoint.seen.at(-1)!.authorization).toBe(`Basic ${bob.auth}`);
  });
});

describe('a token service', () => {
  it.each([400, 401, 403])(
    'that answers %i leaves us without a header, and is not asked again at once',
    async (status) => {
      const authorizer = setUp({ [endpoint.url.host]: alice });
      endpoint.answer = () => ({ status, body: '{"errors":[]}' });
      expect(await authorizer.renew(access, bearer())).toBe(false);
      expect(await authorizer.header(access)).toBeUndefined();
      expect(await authorizer.renew(access, bearer())).toBe(false);
      expect(endpoint.seen).toHaveLength(1);
    },
  );

  it('that accepts us later on is asked again', async () => {
    const authorizer = setUp({ [endpoint.url.host]: alice });
    endpoint.answer = () => ({ status: 401, body: '' });
    await authorizer.renew(access, bearer());
    endpoint.answer = () => ({ status: 200, body: '{"token":"later"}' });
    now = 2_000;
    expect(await authorizer.header(access)).toBe('Bearer later');
  });

  it.each([
    ['answers 500', 500, 'alice:s3cret', 'it answered 500'],
    ['answers 429', 429, '', 'it answered 429'],
    ['redirects', 302, '', 'it answered 302'],
    ['answers no JSON', 200, '<html>s3cret</html>', 'its answer holds no token'],
    ['answers null', 200, 'null', 'its answer holds no token'],
    ['gives no token', 200, '{"token":""}', 'its answer holds no token'],
    ['gives a token with a line break', 200, '{"token":"a\\nb: c"}', 'its answer holds no token'],
    ['answers without end', 200, ' '.repeat(300_000), 'over 262144 bytes'],
  ])('that %s is an outage', async (_what, status, body, message) => {
    const authorizer = setUp({ [endpoint.url.host]: alice });
    endpoint.answer = () => ({ status, body, headers: { location: 'http://127.0.0.1:1/' } });
    const { host } = endpoint.url;
    expect(await outage(authorizer.renew(access, bearer()))).toBe(`${host}: token service ${host}: ${message}`);
  });

  it('that does not answer is an outage', async () => {
    const authorizer = setUp({ [endpoint.url.host]: alice }, { timeout: 50 });
    endpoint.answer = () => undefined;
    expect(await outage(authorizer.renew(access, bearer()))).toContain('timeout');
  });

  it('that is not there is an outage, and is asked again at once', async () => {
    const authorizer = setUp({ '127.0.0.1:1': alice }, {}, new URL('http://127.0.0.1:1'));
    expect(await outage(authorizer.renew(access, bearer('http://127.0.0.1:1/token')))).toContain('ECONNREFUSED');
    expect(await authorizer.renew(access, bearer())).toBe(true);
  });
});

describe('credentials stay at home', () => {
  const registry = new URL('https://registry.example.com');

  it('when the realm is on another host', async () => {
    const authorizer = setUp({ [registry.host]: alice }, {}, registry);
    const { host } = elsewhere();
    expect(await outage(authorizer.renew(access, bearer(elsewhere())))).toBe(
      `registry.example.com: its token service is on another host, ${host}, that is not trusted and has no credentials of its own`,
    );
    expect(endpoint.seen).toEqual([]);
  });

  it('unless that host is trusted', async () => {
    const authorizer = setUp({ [registry.host]: alice }, { trustedRealms: ['LOCALHOST'] }, registry);
    expect(await authorizer.renew(access, bearer(elsewhere()))).toBe(true);
    expect(endpoint.seen[0]!.authorization).toBe(`Basic ${alice.auth}`);
  });

  it('unless it is Docker Hub, whose token service is known', async () => {
    const agent = new MockAgent();
    agent.disableNetConnect();
    const seen: unknown[] = [];
    agent
      .get('https://auth.docker.io')
      .intercept({ path: (path) => path.startsWith('/token?'), method: 'GET' })
      .reply(200, ({ headers }) => {
        seen.push((headers as Record<string, string>)['authorization']);
        return JSON.stringify({ token: 'hub-token' });
      });
    writeFileSync(file, JSON.stringify({ auths: { 'https://index.docker.io/v1/': alice } }));
    const readCredentials = createCredentialReader({ files: [file], env: {} }, { clock: () => now });
    const hub = new URL('https://registry-1.docker.io');
    const create = () =>
      new DockerConfigAuthorizer({ registry: hub, readCredentials, dispatcher: agent }, { clock: () => now });
    expect(await create().renew(access, bearer('https://auth.docker.io/token'))).toBe(true);
    expect(seen).toEqual([`Basic ${alice.auth}`]);
    const other = create().renew(access, bearer('https://auth.docker.io.example.com/token'));
    expect(await outage(other)).toContain('that is not trusted');
    await agent.close();
  });

  it("while that host's own credentials may go there", async () => {
    const authorizer = setUp({ [registry.host]: alice, [elsewhere().host]: bob }, {}, registry);
    expect(await authorizer.renew(access, bearer(elsewhere()))).toBe(true);
    expect(endpoint.seen[0]!.authorization).toBe(`Basic ${bob.auth}`);
  });

  it("and another port of the registry's host is its own host", async () => {
    const authorizer = setUp({ '127.0.0.1:5050': alice }, {}, new URL('http://127.0.0.1:5050'));
    expect(await authorizer.renew(access, bearer())).toBe(true);
    expect(endpoint.seen[0]!.authorization).toBe(`Basic ${alice.auth}`);
  });

  it.each([
    ['http://registry.example.com/token', 'its token service registry.example.com is not reached over https'],
    ['http://127.0.0.1.example.com/token', 'its token service 127.0.0.1.example.com is not reached over https'],
    ['ftp://registry.example.com/token', 'its token service registry.example.com is not reached over https'],
    ['/token', 'its challenge names no token service'],
    ['', 'its challenge names no token service'],
  ])('when the realm is %j', async (realm, message) => {
    const authorizer = setUp({ [registry.host]: alice }, {}, registry);
    expect(await outage(authorizer.renew(access, bearer(realm)))).toBe(`registry.example.com: ${message}`);
  });
});

describe('a Basic challenge', () => {
  const challenge = 'Basic realm="a registry"';

  it('is answered with user and password, from then on at once', async () => {
    const authorizer = await challenged(challenge);
    expect(await authorizer.header(access)).toBe(`Basic ${alice.auth}`);
    expect(await authorizer.header([pullAccess('other')])).toBe(`Basic ${alice.auth}`);
    expect(endpoint.seen).toEqual([]);
  });

  it('is not worth another try with the credentials that were refused', async () => {
    const authorizer = await challenged(challenge);
    now = 10_000;
    await authorizer.header(access);
    expect(await authorizer.renew(access, challenge)).toBe(false);
  });

  it('is worth another try with new credentials, for all that were refused at once', async () => {
    const authorizer = await challenged(challenge);
    writeFileSync(file, JSON.stringify({ auths: { [endpoint.url.host]: bob } }));
    now = 10_000;
    expect(await authorizer.renew(access, challenge)).toBe(true);
    expect(await authorizer.renew(access, challenge)).toBe(true);
    expect(await authorizer.header(access)).toBe(`Basic ${bob.auth}`);
  });

  it.each([
    ['no credentials', {}],
    ['a token only', { identitytoken: 'refresh-me' }],
  ])('is left unanswered with %s', async (_what, value) => {
    const authorizer = setUp({ [endpoint.url.host]: value });
    expect(await authorizer.renew(access, challenge)).toBe(false);
    expect(await authorizer.header(access)).toBeUndefined();
  });
});

describe('another challenge', () => {
  it.each([undefined, '', 'Negotiate', 'garbage "'])('such as %j is left unanswered', async (challenge) => {
    expect(await setUp({ [endpoint.url.host]: alice }).renew(access, challenge)).toBe(false);
  });

  it('by a registry that has changed its mind is followed', async () => {
    const authorizer = await challenged('Basic realm="x"');
    now = 10_000;
    expect(await authorizer.renew(access, bearer())).toBe(true);
    expect(await authorizer.header(access)).toBe('Bearer token-1');
  });
});

it('a configuration that cannot be read is an outage', async () => {
  const authorizer = setUp({});
  writeFileSync(file, `{"auths": {"x": {"auth": "${alice.auth}"`);
  expect(await outage(authorizer.renew(access, bearer()))).toBe(`${endpoint.url.host}: ${file} is no JSON`);
});

test('tokens of a service, however large and many, are remembered within their bound', async () => {
  const authorizer = await challenged();
  const body = 'x'.repeat(200_000);
  endpoint.answer = () => ({ status: 200, body: JSON.stringify({ token: body, expires_in: 300 }) });
  const ask = (index: number): Promise<string | undefined> => authorizer.header([pullAccess(`group/p${index}`)]);
  for (let index = 0; index < 100; index += 1) expect(await ask(index)).toBe(`Bearer ${body}`);
  const asked = endpoint.seen.length;
  await ask(99);
  expect(endpoint.seen).toHaveLength(asked);
  // The first has made room for the others.
  await ask(0);
  expect(endpoint.seen).toHaveLength(asked + 1);
});
