import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigError, inspectConfig, loadConfig } from '../../src/config/config.ts';
import { environment, problems, temporaryDirectory, temporaryFile } from './environment.ts';

test('the data directory is created with those above it, for this user only', () => {
  const directory = join(temporaryDirectory(), 'a', 'b');
  loadConfig({ ...environment(), GEO_DATA_DIR: directory });
  expect(statSync(directory).mode & 0o777).toBe(0o700);
});

test('the data directory is absolute, from the working directory', () => {
  const directory = temporaryDirectory();
  const effects = { hostname: () => 'site', cwd: () => directory };
  expect(inspectConfig({ ...environment(), GEO_DATA_DIR: './data' }, effects).config.dataDir).toBe(
    join(directory, 'data'),
  );
});

test('the data directory is not left behind by an inspection', () => {
  const top = join(temporaryDirectory(), 'a');
  inspectConfig({ ...environment(), GEO_DATA_DIR: join(top, 'b') });
  expect(existsSync(top)).toBe(false);
});

test('the data directory is not created by a configuration that is refused', () => {
  const directory = join(temporaryDirectory(), 'data');
  expect(() => loadConfig({ ...environment(), GEO_DATA_DIR: directory, GEO_STORE: 'x' })).toThrow(ConfigError);
  expect(existsSync(directory)).toBe(false);
});

test('the data directory keeps what is in it', () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'state'), 'x');
  loadConfig({ ...environment(), GEO_DATA_DIR: directory });
  expect(existsSync(join(directory, 'state'))).toBe(true);
});

test('the data directory is refused when it is a file', () => {
  const path = temporaryFile('');
  expect(problems({ ...environment(), GEO_DATA_DIR: path })).toEqual([
    `GEO_DATA_DIR: "${path}" cannot be written to (file already exists); allowed: a directory that this user can create or write to`,
  ]);
});

test.each(['', 'below'])('the data directory is refused when the user may not write to it (%s)', (below) => {
  const directory = temporaryDirectory();
  const env = { ...readableEnvironment(), GEO_DATA_DIR: join(directory, below) };
  chmodSync(directory, 0o555);
  expect(asOrdinaryUser(() => problems(env))).toEqual([
    `GEO_DATA_DIR: "${join(directory, below)}" cannot be written to (permission denied); allowed: a directory that this user can create or write to`,
  ]);
});

const ROOT =
  "the rootdirectory of the local registry's filesystem storage, with docker/registry/v2 below it, readable by this user";

test('the storage root is one that holds a registry', () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'docker/registry/v2'), { recursive: true });
  const effects = { hostname: () => 'site', cwd: () => dirname(directory) };
  const env = { ...environment(), GEO_BLOB_DELIVERY: 'accel-file', GEO_SECONDARY_ROOT: basename(directory) };
  expect(inspectConfig(env, effects).config).toMatchObject({ secondaryRoot: directory, blobDelivery: 'accel-file' });
});

test('the storage root is refused where it holds no registry', () => {
  const directory = temporaryDirectory();
  expect(problems({ ...environment(), GEO_SECONDARY_ROOT: directory })).toEqual([
    `GEO_SECONDARY_ROOT: "${directory}" has no docker/registry/v2; allowed: ${ROOT}`,
  ]);
});

test('the storage root is refused where this user may not read it', () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'docker/registry/v2'), { recursive: true });
  const env = { ...readableEnvironment(), GEO_SECONDARY_ROOT: directory };
  chmodSync(directory, 0o700);
  expect(asOrdinaryUser(() => problems(env))).toContain(
    `GEO_SECONDARY_ROOT: "${directory}" cannot be read (permission denied); allowed: ${ROOT}`,
  );
});

test('accel-file is refused without a storage root', () => {
  expect(problems({ ...environment(), GEO_BLOB_DELIVERY: 'accel-file' })).toEqual([
    `GEO_SECONDARY_ROOT: not set, and required because GEO_BLOB_DELIVERY is accel-file; allowed: ${ROOT}`,
  ]);
});

function readableEnvironment(): NodeJS.ProcessEnv {
  const env = environment();
  chmodSync(dirname(env['GEO_KEY_FILE']!), 0o755);
  return env;
}

// Permissions do not bind root, and tests in a container often run as root.
function asOrdinaryUser<T>(run: () => T): T {
  if (process.getuid?.() !== 0) return run();
  process.seteuid?.(65_534);
  try {
    return run();
  } finally {
    process.seteuid?.(0);
  }
}

// Node's own `recursive` never comes back from these.
test.each(['/proc/foo', '/proc/foo/bar', '/proc/self/fd/foo'])(
  'a data directory that cannot be made, %s, is refused in a line',
  (directory) => {
    expect(problems({ ...environment(), GEO_DATA_DIR: directory })).toEqual([
      expect.stringMatching(new RegExp(`^GEO_DATA_DIR: "${directory}" cannot be written to \\(.+\\); allowed: `)),
    ]);
  },
);
