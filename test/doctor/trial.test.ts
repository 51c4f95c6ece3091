// What the secondary refuses, in its own words, and that a trial leaves nothing there.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import type { RelayRequest } from '../support/relay.ts';
import { createGate } from '../support/relay-rule.ts';
import { startSites, type Sites, type SitesOptions } from '../support/sites.ts';
import { waitFor } from '../support/tool.ts';
import { examine, told, type Examining, type Reports } from './examine.ts';
import { scaled } from '../support/patience.ts';

const REPOSITORY = 'geo-registry-proxy/doctor';

const open: Sites[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((sites) => sites.close()));
});

type Asked = Pick<RelayRequest, 'method' | 'path'>;

function isManifestPut({ method, path }: Asked): boolean {
  return method === 'PUT' && path.includes('/manifests/');
}

function isBlobDelete({ method, path }: Asked): boolean {
  return method === 'DELETE' && path.includes('/blobs/sha256');
}

async function startSecondary(secondary: SitesOptions['secondary'] = {}): Promise<Sites> {
  const sites = await startSites({ secondary });
  open.push(sites);
  return sites;
}

const examineSites = (sites: Sites, env: NodeJS.ProcessEnv = {}, options?: Examining): Promise<Reports> =>
  examine({ ...sites.env(), ...env }, options);

/** What was sent to be stored, and answers now when the registry itself is asked. */
async function left(sites: Sites): Promise<string[]> {
  const { token } = sites.secondaryTarget(REPOSITORY);
  const headers = { authorization: `Bearer ${token}`, accept: 'application/vnd.oci.image.manifest.v1+json' };
  const puts = sites.localRelay.requests.filter(({ method }) => method === 'PUT');
  const paths = puts.flatMap(({ path }) => {
    const digest = /sha256(?::|%3A)[0-9a-f]{64}/.exec(path)?.[0].replace('%3A', ':') ?? 'doctor';
    return [`${path.includes('/manifests/') ? 'manifests' : 'blobs'}/${digest}`];
  });
  const statuses = paths.map(async (path) => {
    const { statusCode, body } = await request(`${sites.secondary.url}/v2/${REPOSITORY}/${path}`, { headers });
    await body.dump();
    return statusCode === 404 ? [] : [path];
  });
  return (await Promise.all(statuses)).flat();
}

test('a secondary that deletes nothing is not written to', async () => {
  const sites = await startSecondary({ deleteEnabled: false });
  const reports = await examineSites(sites);
  expect(told(reports['delete'])).toBe(
    "failed: the secondary refuses to delete: 405 UNSUPPORTED: The operation is unsupported. -> set storage.delete.enabled: true in the local registry's configuration (REGISTRY_STORAGE_DELETE_ENABLED=true)",
  );
  expect(told(reports['push'])).toMatch(/^ok: the secondary begins an upload/);
  expect(sites.localRelay.count(({ method }) => method === 'PUT')).toBe(0);
  const off = await examineSites(sites, { GEO_REPLICATION: 'off' });
  expect(told(off['delete'])).toMatch(/^ok: .* nothing is removed with GEO_REPLICATION=off/);
});

test.each([
  ['400 NAME_UNKNOWN', { status: 400, body: '{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}' }],
  ['500', { status: 500, body: '{"errors":[{"code":"UNKNOWN","message":"unknown error"}]}' }],
])('a secondary that answers a delete in a repository that is not there with %s deletes', async (_what, answer) => {
  const sites = await startSecondary();
  const headers = { 'content-type': 'application/json' };
  sites.localRelay.rules.push({ match: ({ method }) => method === 'DELETE', times: 1, answer: { ...answer, headers } });
  const reports = await examineSites(sites);
  expect(told(reports['delete'])).toMatch(/^ok: the secondary deletes/);
  expect(told(reports['push'])).toMatch(/^ok: the secondary takes pushes/);
  expect(await left(sites)).toEqual([]);
});

test('a secondary that deletes manifests and no blobs deletes', async () => {
  const sites = await startSecondary();
  const answer = { status: 405, body: '{"errors":[{"code":"UNSUPPORTED","message":"no"}]}' };
  sites.localRelay.rules.push({ match: isBlobDelete, answer });
  const reports = await examineSites(sites);
  expect(told(reports['delete'])).toMatch(/^ok: the secondary deletes/);
  expect(told(reports['push'])).toMatch(/^ok: the secondary takes pushes/);
});

test('a secondary in read-only maintenance', async () => {
  const reports = await examineSites(await startSecondary({ readOnly: true }));
  for (const check of ['push', 'delete']) {
    expect(told(reports[check])).toMatch(/^failed: .*: 405 Method not allowed -> it is in read-only maintenance/);
  }
});

test('schema 1 and foreign layers are refused unless they are let in', async () => {
  const refused = await examineSites(await startSecondary());
  expect(told(refused['schema1'])).toMatch(/^ok: the secondary refuses Docker's schema 1 .*"unsupported"/);
  expect(told(refused['foreign-layers'])).toMatch(/^ok: the secondary refuses .*validation\.manifests\.urls/);
  const sites = await startSecondary({ schema1: true, urlsAllow: ['^https?://'] });
  const taken = await examineSites(sites);
  expect(told(taken['schema1'])).toContain("ok: the secondary takes Docker's schema 1");
  expect(told(taken['foreign-layers'])).toContain('ok: the secondary takes images with foreign layers');
  expect(await left(sites)).toEqual([]);
});

test('GEO_STORE=off: nothing is tried', async () => {
  const sites = await startSecondary();
  const reports = await examineSites(sites, { GEO_STORE: 'off' });
  expect(told(reports['push'])).toContain('skipped: GEO_STORE is off');
  expect(sites.localRelay.count(({ method }) => method !== 'GET')).toBe(0);
});

test('a push that fails in the middle leaves nothing', async () => {
  const sites = await startSecondary();
  sites.localRelay.rules.push({ match: isManifestPut, answer: { status: 507, body: 'no space left' } });
  const reports = await examineSites(sites);
  expect(told(reports['push'])).toBe(
    'failed: the secondary refuses a push: 507 no space left -> see its log: storage that is full or not writable answers so',
  );
  expect(sites.localRelay.count(isManifestPut)).toBe(1);
  expect(await left(sites)).toEqual([]);
});

test('a push without an answer leaves nothing', async () => {
  const sites = await startSecondary();
  sites.localRelay.rules.push({ match: isManifestPut, hang: true });
  const reports = await examineSites(sites, {}, { timeout: scaled(3_000) });
  expect(told(reports['push'])).toMatch(
    /^failed: the secondary broke off during a push: no answer in \d+ ms -> it does not answer in time/,
  );
  // It may have been stored: who knows.
  const puts = sites.localRelay.requests.filter(isManifestPut).map(({ path }) => path);
  const deleted = sites.localRelay.requests.filter(({ method }) => method === 'DELETE').map(({ path }) => path);
  expect(deleted).toEqual(expect.arrayContaining(puts));
  expect(await left(sites)).toEqual([]);
});

test('who interrupts a trial leaves nothing', async () => {
  const sites = await startSecondary();
  const gate = createGate();
  sites.localRelay.rules.push({ match: isManifestPut, gate });
  const interrupt = new AbortController();
  const reports = examineSites(sites, {}, { signal: interrupt.signal });
  await waitFor(() => gate.arrived > 0, { what: 'the push', timeout: 20_000 });
  interrupt.abort();
  gate.open();
  expect(told((await reports)['push'])).toContain('skipped: interrupted');
  expect(await left(sites)).toEqual([]);
});

test('with an account in the place of the key', async () => {
  const everything = { ci: { '**': ['pull', 'push', 'delete'] } };
  const sites = await startSites({ users: { ci: 'a password' }, projects: everything });
  open.push(sites);
  const auth = Buffer.from('ci:a password').toString('base64');
  const config = { auths: { [new URL(sites.localRelay.url).host]: { auth } } };
  writeFileSync(join(sites.dataDir, 'config.json'), JSON.stringify(config));
  vi.stubEnv('DOCKER_CONFIG', sites.dataDir);
  onTestFinished(() => void vi.unstubAllEnvs());
  const reports = await examineSites(sites, { GEO_SECONDARY_AUTH: 'docker-config' });
  expect(told(reports['secondary-token'])).toMatch(/^ok: .* accepts the credentials of the Docker configuration/);
  expect(told(reports['push'])).toMatch(/^ok: /);
  expect(told(reports['delete'])).toMatch(/^ok: /);
  expect(sites.localRelay.count(isManifestPut)).toBeGreaterThan(0);
  expect(await left(sites)).toEqual([]);
});

test('what cannot be deleted is named', async () => {
  const sites = await startSecondary();
  sites.localRelay.rules.push({ match: isBlobDelete, answer: { status: 500 } });
  const reports = await examineSites(sites);
  const [path = ''] = await left(sites);
  expect(told(reports['push'])).toBe(
    `failed: what was pushed for a trial could not be deleted: ${REPOSITORY}@${path.replace('blobs/', '')} -> delete it by hand`,
  );
  expect(told(reports['delete'])).toMatch(/^failed: the secondary refuses to delete: 500/);
});
