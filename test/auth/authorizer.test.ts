import { describe, expect, it } from 'vitest';
import { Minter } from '../../src/auth/mint.ts';
import { pullAccess } from '../../src/auth/scope.ts';
import { keyAuthorizer, noAuthorizer } from '../../src/registry/authorizer.ts';
import { privateKeyOf, privatePem } from './pem.ts';

const access = [pullAccess('a')];

describe('keyAuthorizer', () => {
  const keys = { version: 1, trusted: [], signing: { key: privateKeyOf(privatePem('P-256')), chain: [] } };
  const minter = new Minter({ keys: { current: () => keys }, issuer: 'i', service: 's', tokenKeyId: 'libtrust' });
  const authorizer = keyAuthorizer(minter);

  it('gives a minted token', async () => {
    expect(await authorizer.header(access)).toBe(`Bearer ${await minter.mint(access)}`);
  });

  it('goes on with another one after a 401', async () => {
    const before = await authorizer.header(access);
    expect(await authorizer.renew(access, undefined)).toBe(true);
    expect(await authorizer.header(access)).not.toBe(before);
  });
});

describe('noAuthorizer', () => {
  it('gives nothing, and has nothing to renew', async () => {
    expect(await noAuthorizer().header(access)).toBeUndefined();
    expect(await noAuthorizer().renew(access, 'Basic realm="x"')).toBe(false);
  });
});
