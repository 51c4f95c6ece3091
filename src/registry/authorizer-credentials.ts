// Reads credentials as Docker and Podman store them: config.json, auth.json and credential helpers.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLru } from '../lib/lru.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import { runHelper, tableOf, textOf, type Table } from './authorizer-helper.ts';
import type { Credentials } from './authorizer-token.ts';

/**
 * Finds the credentials of a host (`host[:port]`), of the nearest namespace of a repository first; `fresh` reads files and
 * helpers again. Rejects with an Error without secrets when these fail.
 */
export type ReadCredentials = (
  host: string,
  repository?: string,
  options?: { readonly fresh?: boolean },
) => Promise<Credentials | undefined>;

// Helpers are processes, and some ask a cloud: too slow for every token, and for every request that a registry refuses.
const HELPER_TTL = 300_000;
const FRESH = 2_000;
const HELPER_TIMEOUT = 10_000;
// Objects and short texts take about four times the memory of their JSON.
const HEAP_PER_JSON = 4;

const HUB = 'docker.io';
const HUB_HOSTS = new Set([HUB, 'index.docker.io', 'registry-1.docker.io']);
const HUB_SERVER = 'https://index.docker.io/v1/';

/** The files in the order of reading: the one that the environment names, or else Docker's and Podman's. */
export function credentialFiles(env: NodeJS.ProcessEnv): string[] {
  if (env['DOCKER_CONFIG']) return [join(env['DOCKER_CONFIG'], 'config.json')];
  if (env['REGISTRY_AUTH_FILE']) return [env['REGISTRY_AUTH_FILE']];
  return [
    ...(env['HOME'] ? [join(env['HOME'], '.docker/config.json')] : []),
    ...(env['XDG_RUNTIME_DIR'] ? [join(env['XDG_RUNTIME_DIR'], 'containers/auth.json')] : []),
  ];
}

function canonicalHost(host: string): string {
  const bare = host.toLowerCase().replace(/:443$/, '');
  return HUB_HOSTS.has(bare) ? HUB : bare;
}

/** The token service's host of registries that have it elsewhere: Docker Hub's. */
export function knownRealmOf(host: string): string | undefined {
  return canonicalHost(host) === HUB ? 'auth.docker.io' : undefined;
}

/** A key of the file as `host[/namespace]`. With a scheme or an API version it is an old form, whose path is ignored. */
function canonicalKey(key: string): string {
  const bare = key.replace(/^https?:\/\//, '');
  const [host = '', ...path] = bare.split('/').filter(Boolean);
  const isUrl = bare !== key || /\/v[12]\/$/.test(key);
  return [canonicalHost(host), ...(isUrl ? [] : path)].join('/');
}

function valueOf(table: Table, key: string): unknown {
  if (Object.hasOwn(table, key)) return table[key];
  return Object.entries(table).find(([name]) => canonicalKey(name) === key)?.[1];
}

/** The keys that credentials may have, the nearest first: `host/a/b`, `host/a`, `host`. */
function keysFor(host: string, repository: string): string[] {
  const segments = [canonicalHost(host), ...repository.split('/').filter(Boolean)];
  return segments.map((_segment, index) => segments.slice(0, segments.length - index).join('/'));
}

function fromEntry(value: unknown, where: string): Credentials | undefined {
  const entry = tableOf(value);
  const [identity, registry] = [textOf(entry['identitytoken']), textOf(entry['registrytoken'])];
  if (registry) return { kind: 'registry', token: registry };
  if (identity) return { kind: 'identity', token: identity };
  const auth = textOf(entry['auth']);
  if (!auth) return undefined;
  // Old versions of Docker pad passwords with NUL.
  const [, username, password] =
    /^([^:]+):(.*)$/s.exec(Buffer.from(auth, 'base64').toString().replace(/\0+$/, '')) ?? [];
  if (username === undefined || password === undefined) throw new Error(`${where}: auth is no base64 of user:password`);
  return { kind: 'basic', username, password };
}

function fromAuths(auths: Table, keys: readonly string[], file: string): Credentials | undefined {
  for (const key of keys) {
    const found = fromEntry(valueOf(auths, key), `${file}: ${key}`);
    if (found) return found;
  }
  return undefined;
}

async function readTable(file: string): Promise<Table> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new Error(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
  try {
    return tableOf(JSON.parse(text));
  } catch {
    throw new Error(`${file} is no JSON`);
  }
}

/** Caches the results of `work` for `ttl` ms, or {@link FRESH} ms for who wants a fresh one; one call at a time per key. */
function createCache<T>(ttl: number, clock: () => number) {
  const held = createLru<string, { readonly value: T; readonly at: number }>('credentials', {
    sizeOf: ({ value }) => HEAP_PER_JSON * (JSON.stringify(value)?.length ?? 0),
  });
  const flights = createSingleFlight<T>();
  return async (key: string, fresh: boolean, work: () => Promise<T>): Promise<T> => {
    const known = held.get(key);
    if (known && clock() - known.at < (fresh ? FRESH : ttl)) return known.value;
    const value = await flights(key, work);
    held.set(key, { value, at: clock() });
    return value;
  };
}

/** Reads files like Docker's config.json. In each, `credHelpers` go before `credsStore`, and that before `auths`. */
export function createCredentialReader(
  deps: { readonly files: readonly string[]; readonly env: NodeJS.ProcessEnv },
  options: { readonly clock?: () => number; readonly helperTimeout?: number } = {},
): ReadCredentials {
  const { clock = () => performance.now(), helperTimeout: timeout = HELPER_TIMEOUT } = options;
  const tables = createCache<Table>(FRESH, clock);
  const answers = createCache<Credentials | undefined>(HELPER_TTL, clock);

  async function ask(helper: unknown, host: string, fresh: boolean): Promise<Credentials | undefined> {
    const name = textOf(helper);
    if (name === undefined) return undefined;
    const server = canonicalHost(host) === HUB ? HUB_SERVER : host;
    return answers(`${name} ${server}`, fresh, () => runHelper(name, server, { env: deps.env, timeout }));
  }

  async function find(
    file: string,
    host: string,
    repository: string,
    fresh: boolean,
  ): Promise<Credentials | undefined> {
    const table = await tables(file, fresh, () => readTable(file));
    const own = valueOf(tableOf(table['credHelpers']), canonicalHost(host));
    // An empty helper excludes its host from the store.
    const helped =
      (await ask(own, host, fresh)) ?? (own === '' ? undefined : await ask(table['credsStore'], host, fresh));
    if (helped) return helped;
    return fromAuths(tableOf(table['auths']), keysFor(host, repository), file);
  }

  return async (host, repository = '', { fresh = false } = {}) => {
    for (const file of deps.files) {
      const found = await find(file, host, repository, fresh);
      if (found) return found;
    }
    return undefined;
  };
}
