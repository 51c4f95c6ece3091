import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { environment } from '../config/environment.ts';
import { run } from './process.ts';

const usage = (text: string): string => `geo-registry-proxy: option ${text}\n`;

test('token prints a pull token for the repository, signed with the key', async () => {
  const env: NodeJS.ProcessEnv = { ...environment(), GEO_TOKEN_ISSUER: 'gitlab-issuer' };
  const { code, stdout, stderr } = await run(['token', '--repository', 'group/project', '--ttl', '90s'], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const key = createPublicKey(readFileSync(env['GEO_KEY_FILE'] ?? ''));
  const { payload } = await jwtVerify(stdout.trim(), key, { issuer: 'gitlab-issuer', audience: 'container_registry' });
  expect(payload['access']).toEqual([{ type: 'repository', name: 'group/project', actions: ['pull'] }]);
  expect(payload.exp! - payload.iat!).toBe(90);
});

test('token names its key as configured', async () => {
  const [libtrust, rfc7638] = await Promise.all(
    ['libtrust', 'rfc7638'].map(async (id) => {
      const { stdout } = await run(['token', '--repository', 'a/b'], { ...environment(), GEO_TOKEN_KEY_ID: id });
      return decodeProtectedHeader(stdout.trim()).kid;
    }),
  );
  expect(libtrust).toMatch(/^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$/);
  expect(rfc7638).toMatch(/^[\w-]{43}$/);
});

test('token without a key says what it needs', async () => {
  const { GEO_KEY_FILE: _, ...env } = environment();
  const open = { GEO_CLIENT_AUTH: 'none', GEO_PRIMARY_AUTH: 'none', GEO_SECONDARY_AUTH: 'none' };
  const { code, stderr } = await run(['token', '--repository', 'a/b'], { ...env, ...open });
  expect(code).toBe(1);
  expect(stderr).toBe('geo-registry-proxy: GEO_KEY_FILE: not set, and required to mint a token\n');
});

test('token refuses what is no repository', async () => {
  expect(await run(['token', '--repository', 'Group'], environment())).toEqual({
    code: 2,
    stdout: '',
    stderr: usage(
      "'--repository <name>' argument 'Group' is invalid. It is no repository name, such as group/project.",
    ),
  });
});

test('token refuses what is no duration', async () => {
  const { code, stderr } = await run(['token', '--repository', 'a/b', '--ttl', '5'], environment());
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /^geo-registry-proxy: option '--ttl <duration>' argument '5' is invalid\. It is not a duration; allowed: /,
  );
});
