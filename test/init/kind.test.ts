// What init takes a registry for, by what registries of each kind answer (seen on the versions named).
import { expect, test } from 'vitest';
import { findKind, type Kind } from '../../src/init/kind.ts';
import { withSide } from '../../src/init/side.ts';
import { anonymous, TIMEOUT } from '../../src/cli/init-places.ts';
import { startRegistry } from '../support/registry.ts';
import { ociError, startDouble, type Answers } from './double.ts';

const api = { 'docker-distribution-api-version': 'registry/2.0' };
const MISSING = '/v2/geo-registry-proxy/doctor/tags/list';
const ok = { status: 200, headers: api, body: {} };

function kindAt(url: URL): Promise<Kind> {
  return withSide('secondary', anonymous(url, undefined), (registry) => findKind(registry, { timeout: TIMEOUT }));
}

async function kindOf(answers: Answers): Promise<string> {
  const { label, version } = await kindAt(await startDouble(answers));
  return version === undefined ? label : `${label}, ${version}`;
}

function gitlab(database: string): Answers {
  const headers = {
    ...api,
    'gitlab-container-registry-version': '4.39.0-gitlab',
    'gitlab-container-registry-database-enabled': database,
  };
  return { 'GET /v2/': { ...ok, headers } };
}

// GitLab container-registry 4.39.
test.each([
  ['true', 'with its metadata database'],
  ['false', 'without a metadata database'],
])('GitLab by its headers, database enabled: %s', async (database, how) => {
  expect(await kindOf(gitlab(database))).toBe(`GitLab's registry ${how}, 4.39.0-gitlab`);
});

test('GitLab with a database by its own API, where it does not let us in', async () => {
  const locked = ociError(401, 'UNAUTHORIZED');
  expect(await kindOf({ 'GET /v2/': locked, 'GET /gitlab/v1/': locked })).toBe(
    "GitLab's registry with its metadata database",
  );
});

test('what asks for a login on every path is not GitLab', async () => {
  const page = { status: 401, headers: { 'www-authenticate': 'Basic realm="all"' }, body: 'login' };
  expect(await kindOf({ 'GET /v2/': page, 'GET /gitlab/v1/': page })).toBe('a registry of another kind');
});

test('Harbor by its own API', async () => {
  expect(await kindOf({ 'GET /v2/': ok, 'GET /api/v2.0/ping': { status: 200, body: 'Pong' } })).toBe('Harbor');
});

// zot 2.1.
test('zot by its management extension, and a minimal one by the form of its errors', async () => {
  const mgmt = { status: 200, body: { distSpecVersion: '1.1.1', releaseTag: 'v2.1.20', binaryType: '-sync' } };
  expect(await kindOf({ 'GET /v2/': ok, 'GET /v2/_zot/ext/mgmt': mgmt })).toBe('zot, v2.1.20');
  const detail = { description: 'This is returned if the name used is unknown.', name: 'geo-registry-proxy/doctor' };
  const missing = { ...ociError(404, 'NAME_UNKNOWN', detail), headers: api };
  expect(await kindOf({ 'GET /v2/': ok, [`GET ${MISSING}`]: missing })).toBe('zot');
});

// Distribution 3.1.
test('Distribution 3 by its refusal of a negative number of tags', async () => {
  const refused = { ...ociError(400, 'PAGINATION_NUMBER_INVALID', { n: -1 }), headers: api };
  expect(await kindOf({ 'GET /v2/': ok, [`GET ${MISSING}`]: refused })).toBe('Distribution 3');
});

test('Distribution 2, itself', async () => {
  const registry = await startRegistry({ name: 'plain' });
  try {
    expect(await kindAt(new URL(registry.url))).toEqual({ id: 'distribution', label: 'Distribution 2' });
  } finally {
    await registry.close();
  }
});

test('a registry that says nothing of itself is of another kind', async () => {
  const missing = { ...ociError(404, 'NAME_UNKNOWN'), headers: api };
  expect(await kindOf({ 'GET /v2/': ok, [`GET ${MISSING}`]: missing })).toBe('a registry of another kind');
  expect(await kindOf({ 'GET /v2/': ok })).toBe('a registry of another kind');
});
