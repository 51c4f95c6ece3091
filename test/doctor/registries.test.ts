// What is wrong between the proxy and the two registries, the key, the realm and the clocks.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { startRelay } from '../support/relay.ts';
import type { RelayRule } from '../support/relay-rule.ts';
import { startSites, type Sites } from '../support/sites.ts';
import { freePort, tempDir } from '../support/tool.ts';
import { examine, told, type Reports } from './examine.ts';
import { scaled } from '../support/patience.ts';

const DAY = 24 * 3_600_000;

let sites: Sites;
let others: SiteKeys;
let env: Record<string, string>;
beforeAll(async () => {
  [sites, others] = await Promise.all([startSites({ publicProjects: ['**'] }), createSiteKeys()]);
  env = { ...sites.env(), GEO_LISTEN: `127.0.0.1:${await freePort()}` };
});
afterAll(async () => {
  await sites.close();
  await others.remove();
});
beforeEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});

/** The verdicts of all checks but these, and but those that need a server or a database. */
function othersOf(reports: Reports, ...checks: string[]): string[] {
  const apart = new Set([...checks, 'other-writer', 'webhook', 'public-webhook']);
  return Object.values(reports)
    .filter(({ check, verdict }) => verdict !== 'ok' && !apart.has(check))
    .map(({ check }) => check);
}

test('without a server and a database everything else is checked', async () => {
  const reports = await examine({ ...env, GEO_EVENTS_TOKEN: 'a secret of ours' });
  expect(othersOf(reports)).toEqual([]);
  expect(told(reports['webhook'])).toMatch(/^skipped: no server runs at 127\.0\.0\.1:\d+ \(GEO_LISTEN\)/);
  expect(told(reports['public-webhook'])).toMatch(/^skipped: give --url /);
  expect(told(reports['other-writer'])).toMatch(/^skipped: there is no .*state\.db: the proxy has not run/);
  expect(told(reports['loop'])).toContain('no server answers at GEO_LISTEN');
});

test('a primary that is down', async () => {
  await sites.relay.down();
  onTestFinished(() => sites.relay.up());
  const reports = await examine(env);
  expect(told(reports['primary'])).toMatch(
    /^failed: http:.* \(GEO_PRIMARY_URL\) cannot be reached: ECONNREFUSED -> nothing listens there/,
  );
  expect(told(reports['primary-token'])).toContain('skipped: see primary');
  expect(othersOf(reports, 'primary', 'primary-token')).toEqual([]);
});

test('a primary that hangs', async () => {
  sites.relay.rules.push({ hang: true });
  const reports = await examine(env, { timeout: scaled(3_000) });
  expect(told(reports['primary'])).toMatch(/cannot be reached: no answer in \d+ ms -> it does not answer in time/);
  expect(othersOf(reports, 'primary', 'primary-token')).toEqual([]);
});

test('a primary that hangs after its headers', async () => {
  sites.relay.rules.push({ hang: 0 });
  const reports = await examine(env, { timeout: 500 });
  expect(Object.keys(reports)).toHaveLength(19);
});

test('a check that takes too long is ended, and the others are told', async () => {
  sites.relay.rules.push({ hang: true });
  const reports = await examine(env, { timeout: 60_000, limit: scaled(5_000) });
  expect(told(reports['primary'])).toContain('failed: not done in');
  expect(reports['secondary']?.verdict).toBe('ok');
});

test('who interrupts gets what is known', async () => {
  sites.relay.rules.push({ hang: true });
  const reports = await examine(env, { timeout: 60_000, signal: AbortSignal.timeout(scaled(1_000)) });
  expect(told(reports['primary'])).toContain('skipped: interrupted');
});

const page: RelayRule = { answer: { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>GitLab</p>' } };

test('a page in the place of the secondary', async () => {
  sites.localRelay.rules.push(page);
  const reports = await examine(env);
  expect(told(reports['secondary'])).toMatch(
    /^failed: what answers at .* \(GEO_SECONDARY_URL\) is no registry: 200 .* -> give the secondary registry's own address/,
  );
  expect(told(reports['push'])).toContain('skipped: see secondary');
});

test.each([
  ['GEO_TOKEN_ISSUER', 'gitlab-issuer', 'omnibus-gitlab-issuer'],
  ['GEO_TOKEN_SERVICE', 'registry', 'container_registry'],
  ['GEO_TOKEN_KEY_ID', 'rfc7638', 'libtrust'],
])('a wrong %s is named with the right one', async (variable, wrong, right) => {
  const reports = await examine({ ...env, [variable]: wrong });
  for (const name of ['primary', 'secondary']) {
    expect(told(reports[`${name}-token`])).toMatch(
      new RegExp(`^failed: the ${name} registry refuses our token: 401 .* -> set ${variable}=${right}: with that`),
    );
  }
  expect(told(reports['push'])).toContain('skipped: see secondary-token');
});

test('another key than the registries and the realm have', async () => {
  const reports = await examine({ ...env, GEO_KEY_FILE: others.keyFile });
  expect(told(reports['primary-token'])).toMatch(/^failed: .* 401 .* -> GEO_KEY_FILE must be the key of its auth/);
  expect(told(reports['realm-token'])).toMatch(
    /^failed: a token of the realm is refused here: signed by no key of ours -> GEO_KEY_FILE/,
  );
});

test('a registry that asks for credentials, and none are configured', async () => {
  const reports = await examine({ ...env, GEO_PRIMARY_AUTH: 'none' });
  expect(told(reports['primary-token'])).toBe(
    'failed: the primary registry asks for credentials -> set GEO_PRIMARY_AUTH to key or docker-config',
  );
});

test('credentials of a Docker configuration that has none', async () => {
  const reports = await examine({ ...env, GEO_PRIMARY_AUTH: 'docker-config' });
  expect(told(reports['primary-token'])).toMatch(
    /^failed: .* refuses the credentials of the Docker configuration: 401 .* -> add credentials for 127\.0\.0\.1:\d+ to the Docker configuration/,
  );
  expect(othersOf(reports, 'primary-token')).toEqual([]);
});

test('a credential helper that is not installed', async () => {
  const { path, remove } = await tempDir();
  onTestFinished(() => remove());
  writeFileSync(join(path, 'config.json'), JSON.stringify({ credsStore: 'nowhere' }));
  vi.stubEnv('DOCKER_CONFIG', path);
  onTestFinished(() => void vi.unstubAllEnvs());
  const reports = await examine({ ...env, GEO_PRIMARY_AUTH: 'docker-config' });
  expect(told(reports['primary-token'])).toMatch(
    /^failed: .*docker-credential-nowhere is not on PATH -> install that credential helper/,
  );
});

test('a certificate of another key', async () => {
  const reports = await examine({ ...env, GEO_CERT_FILE: others.certFile });
  expect(told(reports['key'])).toMatch(
    /^failed: GEO_CERT_FILE, .*, does not hold the public half of GEO_KEY_FILE.* -> give the certificate of that key/,
  );
});

test('a certificate that has expired', async () => {
  const given = { ...env, GEO_CERT_FILE: sites.keys.certFile };
  const later = { machine: { clock: () => Date.now() + 400 * DAY } };
  expect(told((await examine(given))['key'])).toContain('ok: GEO_CERT_FILE holds the public half');
  expect(told((await examine(given, later))['key'])).toMatch(/^warning: the certificate .* has expired on \d{4}-/);
  const carried = await examine({ ...given, GEO_TOKEN_KEY_ID: 'x5c' }, later);
  expect(told(carried['key'])).toMatch(/^failed: the certificate .* -> renew it/);
});

test('a key that everybody may read', async () => {
  chmodSync(others.keyFile, 0o644);
  const reports = await examine({ ...env, GEO_KEY_FILE: others.keyFile });
  expect(told(reports['key'])).toMatch(/^warning: .* \(mode 0644\).* -> chmod o-rwx /);
});

test('a realm that is none', async () => {
  const reports = await examine({ ...env, GEO_TOKEN_REALM: `${sites.tokens.url}/users/sign_in` });
  expect(told(reports['realm'])).toMatch(/^failed: .* answers 404: that is no token service/);
  expect(told(reports['realm-token'])).toContain('skipped: see realm');
});

test('another realm than the local registry names', async () => {
  const other = await startRelay({ target: sites.tokens.url });
  onTestFinished(() => other.close());
  other.rules.push({ answer: { status: 401 } });
  const reports = await examine({ ...env, GEO_TOKEN_REALM: `${other.url}/jwt/auth` });
  expect(told(reports['realm'])).toMatch(
    /^warning: the local registry sends clients to http:.* -> set GEO_TOKEN_REALM to http:/,
  );
  expect(told(reports['realm-token'])).toMatch(/^skipped: the realm gives no token to who does not log in \(401\)/);
  await other.down();
  const down = await examine({ ...env, GEO_TOKEN_REALM: `${other.url}/jwt/auth` });
  expect(told(down['realm'])).toMatch(/^failed: .* cannot be reached from here: ECONNREFUSED -> nothing listens there/);
});

test('a service that the local registry does not have', async () => {
  const reports = await examine({ ...env, GEO_TOKEN_SERVICE: 'registry' });
  expect(told(reports['realm'])).toMatch(
    /^failed: the local registry names the service "container_registry".* -> set GEO_TOKEN_SERVICE to "container_reg/,
  );
  expect(told(reports['realm-token'])).toMatch(/^failed: .* other audience -> set GEO_TOKEN_SERVICE to "container_reg/);
});

test.each([
  [45, 'warning'],
  [-45, 'warning'],
  [90, 'failed'],
])('a clock that is %d s ahead: %s', async (seconds, verdict) => {
  sites.relay.rules.push({ setHeaders: { Date: new Date(Date.now() + seconds * 1_000).toUTCString() } });
  const report = (await examine(env))['clock'];
  expect(told(report)).toMatch(
    new RegExp(
      `^${verdict}: .*primary \\${seconds > 0 ? '+' : ''}${seconds < 0 ? '-' : ''}\\d+ s.* -> set the clocks by NTP`,
    ),
  );
});

test('nothing to tell of where clients need no token', async () => {
  const reports = await examine({ ...env, GEO_CLIENT_AUTH: 'none' });
  expect(told(reports['configuration'])).toMatch(/^warning: GEO_CLIENT_AUTH: none: WHOEVER REACHES/);
  for (const check of ['realm', 'realm-token']) expect(told(reports[check])).toContain('skipped: GEO_CLIENT_AUTH is');
});

test('where the clock is wrong, a refused token is told as its consequence, after it', async () => {
  sites.relay.rules.push({ setHeaders: { Date: new Date(Date.now() + 600_000).toUTCString() } });
  const reports = await examine({ ...env, GEO_KEY_FILE: others.keyFile });
  const order = Object.keys(reports);
  expect(order.indexOf('clock')).toBeLessThan(order.indexOf('key'));
  expect(told(reports['clock'])).toMatch(/^failed: /);
  for (const name of ['primary-token', 'secondary-token', 'realm-token']) {
    expect(told(reports[name])).toMatch(/^skipped: follows from clock, see there: .* -> $/);
  }
});

test('a certificate of another key is the cause of refused tokens', async () => {
  const reports = await examine({ ...env, GEO_CERT_FILE: others.certFile });
  expect(told(reports['realm-token'])).toMatch(/^skipped: follows from key, see there: /);
});

test.each([
  ['libtrust', 'rfc7638'],
  ['rfc7638', 'libtrust'],
])('the advice on a refused token with GEO_TOKEN_KEY_ID %s names another value alone', async (set, other) => {
  const given = { GEO_KEY_FILE: others.keyFile, GEO_TOKEN_KEY_ID: set };
  const { advice } = (await examine({ ...env, ...given }))['primary-token']!;
  expect(advice).toContain(`GEO_TOKEN_KEY_ID ${other}`);
  expect(advice).not.toContain(`GEO_TOKEN_KEY_ID ${set}`);
  // The registry names the service that is set.
  expect(advice).not.toContain('GEO_TOKEN_SERVICE');
});
