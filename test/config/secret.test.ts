import { expect, test } from 'vitest';
import { inspectConfig } from '../../src/config/config.ts';
import { environment, problems, temporaryFile } from './environment.ts';

test('a secret is read from its file without the line end', () => {
  const env = { ...environment(), GEO_ADMIN_TOKEN_FILE: temporaryFile('s3cret-token\n') };
  expect(inspectConfig(env).config.adminToken).toBe('s3cret-token');
});

test('a secret is refused when it is given twice', () => {
  const env = { ...environment(), GEO_ADMIN_TOKEN: 'a', GEO_ADMIN_TOKEN_FILE: temporaryFile('a') };
  expect(problems(env)).toEqual([
    'GEO_ADMIN_TOKEN: given twice, also as GEO_ADMIN_TOKEN_FILE; allowed: one of the two',
  ]);
});

test('a secret is refused when its file is empty', () => {
  const path = temporaryFile('\n');
  expect(problems({ ...environment(), GEO_ADMIN_TOKEN_FILE: path })).toEqual([
    `GEO_ADMIN_TOKEN_FILE: "${path}" is empty; allowed: a file that holds 8 or more letters, digits and -._~+/=`,
  ]);
});

test('a secret is refused when its file cannot be read', () => {
  expect(problems({ ...environment(), GEO_ADMIN_TOKEN_FILE: '/nowhere/token' })).toEqual([
    'GEO_ADMIN_TOKEN_FILE: "/nowhere/token" cannot be read (no such file or directory); allowed: a file that holds 8 or more letters, digits and -._~+/=',
  ]);
});

test('a secret from a file never stands in the line that refuses it', () => {
  const lines = problems({ ...environment(), GEO_ADMIN_TOKEN_FILE: temporaryFile('my secret') });
  expect(lines).toEqual([
    'GEO_ADMIN_TOKEN: the given value cannot be sent as a Bearer token; allowed: 8 or more letters, digits and -._~+/=',
  ]);
});

test('a secret never stands in the settings', () => {
  const { settings } = inspectConfig({ ...environment(), GEO_ADMIN_TOKEN: 's3cret-token' });
  expect(settings).toContainEqual({ name: 'GEO_ADMIN_TOKEN', value: '(secret)', source: 'environment' });
});
