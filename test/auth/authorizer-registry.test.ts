import { writeFileSync } from 'node:fs';
import { Agent } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pullAccess, pushAccess, type Access } from '../../src/auth/scope.ts';
import { createCredentialReader } from '../../src/registry/authorizer-credentials.ts';
import { DockerConfigAuthorizer } from '../../src/registry/authorizer-docker-config.ts';
import type { Authorizer } from '../../src/registry/authorizer.ts';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { startTokenService, type TokenService } from '../support/token-service.ts';
import { scratch } from './pem.ts';

// A real registry, and a token service in GitLab's form beside it.
let keys: SiteKeys;
let tokens: TokenService;
let registry: Registry;
const dispatcher = new Agent();
const directory = scratch();

beforeAll(async () => {
  keys = await createSiteKeys({ kind: 'ec' });
  const users = { alice: 's3cret' };
  tokens = await startTokenService({
    keys,
    users,
    projects: { alice: { 'group/*': ['pull'], 'mine/*': ['pull', 'push'] } },
  });
  const { realm, service, issuer } = tokens;
  registry = await startRegistry({ name: 'primary', auth: { realm, service, issuer, rootCertBundle: keys.certFile } });
});
afterAll(async () => {
  await registry.close();
  await tokens.close();
  await keys.remove();
  await dispatcher.close();
  directory[Symbol.dispose]();
});

function authorizerOf(user: string): Authorizer {
  const url = new URL(registry.url);
  const file = directory.path('config.json');
  writeFileSync(file, JSON.stringify({ auths: { [url.host]: { auth: Buffer.from(user).toString('base64') } } }));
  const readCredentials = createCredentialReader({ files: [file], env: {} });
  return new DockerConfigAuthorizer({ registry: url, readCredentials, dispatcher });
}

/** Statuses of a request and of what came of its renewals, as a client of the registry makes them. */
async function ask(authorizer: Authorizer, access: readonly Access[], path: string, method = 'GET'): Promise<number[]> {
  const once = async (): Promise<Response> => {
    const authorization = await authorizer.header(access);
    return fetch(registry.url + path, { method, headers: authorization === undefined ? {} : { authorization } });
  };
  const first = await once();
  await first.body?.cancel();
  if (first.status !== 401) return [first.status];
  if (!(await authorizer.renew(access, first.headers.get('www-authenticate') ?? undefined))) return [401];
  const second = await once();
  await second.body?.cancel();
  return [401, second.status];
}

describe('credentials of a Docker configuration', () => {
  it('open a registry after one challenge, from then on at once', async () => {
    const authorizer = authorizerOf('alice:s3cret');
    expect(await ask(authorizer, [], '/v2/')).toEqual([401, 200]);
    expect(await ask(authorizer, [pullAccess('group/a')], '/v2/group/a/manifests/latest')).toEqual([404]);
    expect(await ask(authorizer, [pushAccess('mine/a')], '/v2/mine/a/blobs/uploads/', 'POST')).toEqual([202]);
  });

  it('do not open what their user may not read', async () => {
    const authorizer = authorizerOf('alice:s3cret');
    expect(await ask(authorizer, [pullAccess('other/a')], '/v2/other/a/manifests/latest')).toEqual([401, 401]);
  });

  it('that are wrong open nothing', async () => {
    expect(await ask(authorizerOf('alice:wrong'), [], '/v2/')).toEqual([401]);
  });
});
