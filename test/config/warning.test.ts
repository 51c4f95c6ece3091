import { expect, test } from 'vitest';
import { inspectConfig } from '../../src/config/config.ts';
import { environment } from './environment.ts';

test('warnings are loud about clients without authentication', () => {
  const { config } = inspectConfig({ ...environment(), GEO_CLIENT_AUTH: 'none' });
  expect(config.warnings).toEqual([
    'GEO_CLIENT_AUTH: none: WHOEVER REACHES 127.0.0.1:5080 CAN PULL EVERY REPOSITORY; for a trusted network only',
  ]);
});

test('warnings tell of a realm that takes passwords in the clear', () => {
  const { config } = inspectConfig({ ...environment(), GEO_TOKEN_REALM: 'http://gitlab.example.com/jwt/auth' });
  expect(config.warnings).toEqual([
    'GEO_TOKEN_REALM: is not https: clients will send their passwords to it in the clear',
  ]);
});

const PLAIN =
  'GEO_PRIMARY_URL: is not https: the tokens for the primary, and all that it sends, cross the network in the clear';

test.each(['http://registry.example.com:5050', 'http://192.0.2.1', 'http://[2001:db8::1]:5000'])(
  'warnings tell of the primary %s that gets tokens in the clear',
  (url) => {
    expect(inspectConfig({ ...environment(), GEO_PRIMARY_URL: url }).config.warnings).toEqual([PLAIN]);
  },
);

test.each([
  'http://127.0.0.1:5001',
  'http://[::1]:5001',
  'http://10.1.2.3',
  'http://172.31.0.1',
  'http://[fd00::1]',
  'http://registry:5000',
])('warnings leave out the primary %s, which is near', (url) => {
  expect(inspectConfig({ ...environment(), GEO_PRIMARY_URL: url }).config.warnings).toEqual([]);
});

test('warnings leave out a plain primary that gets no tokens', () => {
  const env = { ...environment(), GEO_PRIMARY_URL: 'http://registry.example.com', GEO_PRIMARY_AUTH: 'none' };
  expect(inspectConfig(env).config.warnings).toEqual([]);
});

test('warnings guess the name behind a typing error', () => {
  const { config } = inspectConfig({ ...environment(), GEO_PRIMRY_TIMEOUT: '1s' });
  expect(config.warnings).toEqual(['GEO_PRIMRY_TIMEOUT: unknown (did you mean GEO_PRIMARY_TIMEOUT?), ignored']);
});

test('warnings guess nothing where no name is near', () => {
  const { config } = inspectConfig({ ...environment(), GEO_FLUX_CAPACITOR: '1' });
  expect(config.warnings).toEqual(['GEO_FLUX_CAPACITOR: unknown, ignored']);
});

test('warnings call a variable of a later version not supported', () => {
  const { config } = inspectConfig({
    ...environment(),
    GEO_DATABASE_URL: 'postgres://x',
  });
  expect(config.warnings).toEqual(['GEO_DATABASE_URL: not supported by this version, ignored']);
});

test('warnings come with the error too, since a typing error is often why a variable is missing', () => {
  const env = { ...environment(), GEO_PRIMARY_URL: undefined, GEO_PRIMARY_URI: 'https://registry.example.com' };
  expect(() => inspectConfig(env)).toThrow(
    expect.objectContaining({ warnings: ['GEO_PRIMARY_URI: unknown (did you mean GEO_PRIMARY_URL?), ignored'] }),
  );
});
