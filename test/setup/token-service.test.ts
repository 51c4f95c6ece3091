import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { startTokenService, type TokenService } from '../support/token-service.ts';
import { repositoryAccess, signToken, type TokenOverrides } from '../support/token.ts';

describe.each(['rsa', 'ec'] as const)('a token service with an %s key', (kind) => {
  let keys: SiteKeys;
  let tokens: TokenService;
  let registry: Registry;

  beforeAll(async () => {
    keys = await createSiteKeys({ kind });
    tokens = await startTokenService({
      keys,
      users: { alice: 'secret' },
      projects: { alice: { 'group/*': ['pull', 'push'], other: ['pull'] } },
      publicProjects: ['public/**'],
    });
    const { realm, service, issuer } = tokens;
    registry = await startRegistry({ name: 'r', auth: { realm, service, issuer, rootCertBundle: keys.certFile } });
  });

  afterAll(async () => {
    await registry.close();
    await tokens.close();
    await keys.remove();
  });

  const ask = async (
    scopes: string[],
    login?: string,
  ): Promise<{ status: number; access?: unknown; body: unknown }> => {
    const query = new URLSearchParams(scopes.map((scope) => ['scope', scope]));
    const headers = login === undefined ? {} : { authorization: `Basic ${btoa(login)}` };
    const response = await fetch(`${tokens.realm}?service=container_registry&${query}`, { headers });
    const body = (await response.json()) as { token?: string };
    const claims = body.token && JSON.parse(Buffer.from(body.token.split('.')[1] ?? '', 'base64url').toString());
    return { status: response.status, body, access: claims?.access };
  };

  const listTags = async (repository: string, token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${registry.url}/v2/${repository}/tags/list`, { headers });
    await response.body?.cancel();
    return response.status;
  };

  it('grants what is asked and allowed, for several scopes at once', async () => {
    const { access } = await ask(
      ['repository:group/a:push,delete repository:other:pull,push', 'repository:strange:pull'],
      'alice:secret',
    );
    expect(access).toEqual([repositoryAccess('group/a', 'push'), repositoryAccess('other', 'pull')]);
  });

  it('lets everyone pull public projects', async () => {
    const { access } = await ask(['repository:public/a/b:pull,push', 'repository:group/a:pull']);
    expect(access).toEqual([repositoryAccess('public/a/b', 'pull')]);
  });

  it('refuses a wrong password and an anonymous login', async () => {
    expect(await ask([], 'alice:wrong')).toMatchObject({ status: 401, body: { errors: [{ code: 'UNAUTHORIZED' }] } });
    expect(await ask([])).toMatchObject({ status: 403, body: { errors: [{ code: 'DENIED' }] } });
  });

  it('keeps a record of its requests', async () => {
    await ask(['repository:other:pull'], 'alice:secret');
    expect(tokens.requests.at(-1)).toEqual({ account: 'alice', scopes: ['repository:other:pull'], status: 200 });
  });

  it('signs tokens that a registry accepts', async () => {
    const token = tokens.tokenFor([repositoryAccess('group/a', 'pull')]);
    // Accepted, and then there is no such repository.
    expect(await listTags('group/a', token)).toBe(404);
  });

  const wrong: [string, () => TokenOverrides][] = [
    ['expired', () => ({ expiresIn: -120 })],
    ['of another issuer', () => ({ claims: { iss: 'someone' } })],
    ['without an end', () => ({ claims: { exp: undefined } })],
    ['unsigned', () => ({ header: { alg: 'none' } })],
    ['signed by HMAC with the certificate', () => ({ key: Buffer.from(keys.certPem) })],
    ['of an unknown key id', () => ({ header: { kid: 'AAAA' } })],
  ];
  it.each(wrong)('signs a token %s, which a registry refuses', async (_name, overrides) => {
    expect(await listTags('group/a', tokens.tokenFor([repositoryAccess('group/a', 'pull')], overrides()))).toBe(401);
  });

  it("signs tokens with a stranger's key, which a registry refuses", async () => {
    const stranger = await createSiteKeys({ kind });
    const token = signToken({ ...tokens, key: stranger.privateKey }, [repositoryAccess('group/a', 'pull')]);
    await stranger.remove();
    expect(await listTags('group/a', token)).toBe(401);
  });
});

describe('createSiteKeys', () => {
  it('makes a certificate for hosts, with which a TLS server is trusted', async () => {
    const keys = await createSiteKeys({ hosts: ['localhost', '127.0.0.1'] });
    const { X509Certificate } = await import('node:crypto');
    const certificate = new X509Certificate(keys.certPem);
    await keys.remove();
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(certificate.checkPrivateKey(keys.privateKey)).toBe(true);
  });
});
