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
    GEO_REPLICATION_BANDWIDTH: '1MiB',
    GEO_DATABASE_URL: 'postgres://x',
  });
  expect(config.warnings).toEqual([
    'GEO_DATABASE_URL: not supported by this version, ignored',
    'GEO_REPLICATION_BANDWIDTH: not supported by this version, ignored',
  ]);
});

test('warnings come with the error too, since a typing error is often why a variable is missing', () => {
  const env = { ...environment(), GEO_PRIMARY_URL: undefined, GEO_PRIMARY_URI: 'https://registry.example.com' };
  expect(() => inspectConfig(env)).toThrow(
    expect.objectContaining({ warnings: ['GEO_PRIMARY_URI: unknown (did you mean GEO_PRIMARY_URL?), ignored'] }),
  );
});
