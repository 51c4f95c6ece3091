// The site that a command is about: its running server, or its database where none runs.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { createSqliteStore } from '../replication/store/sqlite.ts';
import { ReplicationAdministration, type Administration } from '../status/administration.ts';
import type { RepositoryListQuery, RepositoryPage } from '../status/repository-listing.ts';
import type { RepositoryFilter, RowPage, RowQuery } from '../status/row-listing.ts';
import { createSnapshot, type Snapshot } from '../status/snapshot.ts';
import { programVersion } from '../status/version.ts';
import { createAdminClient, NoServer, NoSuchPath, type AdminClient } from './admin-client.ts';
import { say, warn } from './output.ts';

/** A site that can be asked; `close` it, or the process does not end. */
export interface Site {
  readonly administration: Administration;
  /** Whether a server runs: else this is its database. */
  readonly isServed: boolean;
  /** Asks the running server for more than every version has; null where none runs. @throws NoSuchPath */
  readonly live: Live | null;
  close(): Promise<void>;
}

/** A running server. */
export interface Live extends Pick<AdminClient, 'address' | 'get'> {
  readonly version: string;
}

/** What a running server tells; undefined of one whose version does not know the path. */
export async function getIfKnown<T>(live: Live, path: string): Promise<T | undefined> {
  try {
    return (await live.get(path)) as T;
  } catch (error) {
    if (error instanceof NoSuchPath) return undefined;
    throw error;
  }
}

const storeLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: (_fields: object, message: string) => warn(message),
  error: (_fields: object, message: string) => say(message),
};

function queryText({ states, held, waiting, repositories, after, limit }: RowQuery): string {
  const query = new URLSearchParams({ limit: String(limit) });
  if (states) query.set('state', states.join());
  if (held !== undefined) query.set('held', String(held));
  if (waiting !== undefined) query.set('waiting', String(waiting));
  if (repositories) query.set('repository', repositories.text);
  if (after !== undefined) query.set('after', String(after));
  return query.toString();
}

function repositoriesText({ repositories, failed, after, limit }: RepositoryListQuery): string {
  const query = new URLSearchParams({ limit: String(limit) });
  if (repositories) query.set('repository', repositories.text);
  if (failed !== undefined) query.set('failed', String(failed));
  if (after !== undefined) query.set('after', after);
  return query.toString();
}

function bodyOf(repositories: RepositoryFilter | undefined): object {
  return repositories ? { repository: repositories.text } : {};
}

/** The orders as the server at the other end of `client` carries them out. */
export function createRemoteAdministration(client: AdminClient): Administration {
  const order = async <T>(name: string, repositories: RepositoryFilter | undefined, options = {}): Promise<T> =>
    (await client.post(`/api/replication/${name}`, { ...bodyOf(repositories), ...options })) as T;
  return {
    snapshot: async () => (await client.get('/api/status')) as Snapshot,
    list: async (query) => (await client.get(`/api/replication?${queryText(query)}`)) as RowPage,
    listRepositories: async (query) =>
      (await client.get(`/api/replication/repositories?${repositoriesText(query)}`)) as RepositoryPage,
    backfill: (repositories) => order('backfill', repositories),
    verify: (repositories, { rehash } = {}) => order('verify', repositories, rehash ? { rehash } : {}),
    retry: (repositories, { cause } = {}) => order('retry', repositories, cause === undefined ? {} : { cause }),
    confirmRemovals: (repositories) => order('confirm-removals', repositories),
  };
}

/** The server of a site, asked once whether it is there. @throws NoServer */
export async function openServer(config: Pick<Config, 'adminListen' | 'adminToken'>): Promise<Site> {
  const client = createAdminClient(config);
  let version: unknown;
  try {
    ({ version } = (await client.get('/api/status')) as Partial<Snapshot>);
    if (typeof version !== 'string') throw new Error(`what answers at ${client.address} is no geo-registry-proxy`);
  } catch (error) {
    client.close();
    throw error;
  }
  return {
    administration: createRemoteAdministration(client),
    isServed: true,
    live: { address: client.address, version, get: client.get },
    close: async () => client.close(),
  };
}

async function openDatabase(config: Config, reason: NoServer): Promise<Site> {
  const file = join(config.dataDir, 'state.db');
  // Opening it would make one.
  if (!existsSync(file)) {
    throw new Error(`${reason.message}, and there is no database ${file}: is this the server's configuration?`);
  }
  const rows = await createSqliteStore({ file, log: storeLog });
  const isOn = config.replication && config.store;
  const options = { isOn, removalShare: config.removalLimit };
  const snapshot = createSnapshot({ version: programVersion(), site: config.siteName, rows }, options);
  const administration = new ReplicationAdministration({ rows, snapshot, log: storeLog }, options);
  return { administration, isServed: false, live: null, close: () => rows.close() };
}

/** The site's server where one runs, else its database. @throws Error with what is wrong, in a line */
export async function openSite(config: Config): Promise<Site> {
  try {
    return await openServer(config);
  } catch (error) {
    if (error instanceof NoServer) return openDatabase(config, error);
    throw error;
  }
}

/** Opens the site, works with it, and closes it in any case. */
export async function withSite<T>(config: Config, work: (site: Site) => Promise<T>): Promise<T> {
  const site = await openSite(config);
  try {
    return await work(site);
  } finally {
    await site.close();
  }
}
