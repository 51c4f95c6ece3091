// Asking the admin listener, and rows in the states that tests are about.
import { join } from 'node:path';
import { request, type Dispatcher } from 'undici';
import type { Snapshot } from '../../src/status/snapshot.ts';
import type { Mark, Outcome } from '../../src/replication/row-queue.ts';
import type { RowStore } from '../../src/replication/rows.ts';
import { createSqliteStore } from '../../src/replication/store/sqlite.ts';
import { silent } from '../replication/store/silent.ts';
import type { ProxySite } from '../support/proxy.ts';
import { waitFor } from '../support/tool.ts';

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The text as JSON; undefined when it is none. */
  readonly json: unknown;
}

export interface AdminAsking {
  readonly method?: Dispatcher.HttpMethod;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Asks the admin listener of a site. */
export async function askAdmin(site: ProxySite, path: string, asking: AdminAsking = {}): Promise<AdminAnswer> {
  const { statusCode, headers, body } = await request(site.proxy.adminUrl + path, asking);
  const text = await body.text();
  return { status: statusCode, headers, text, json: parsed(text) };
}

/** Gives an order, with a JSON body if one is given. */
export function order(site: ProxySite, name: string, body?: object): Promise<AdminAnswer> {
  const asking = body === undefined ? {} : { body: JSON.stringify(body) };
  return askAdmin(site, `/api/replication/${name}`, { method: 'POST', ...asking });
}

/** What `GET /api/status` answers. */
export async function statusOf(site: ProxySite): Promise<Snapshot> {
  return (await askAdmin(site, '/api/status')).json as Snapshot;
}

/** A backfill as the status tells it. */
export type Backfill = NonNullable<Snapshot['replication']['runs']['backfill']>;

/** Orders a backfill, with a JSON body if one is given, and waits until this one (and not an earlier one) has ended. */
export async function backfilled(site: ProxySite, body?: object): Promise<Backfill> {
  const before = (await statusOf(site)).replication.runs.backfill?.startedAt;
  await waitFor(async () => ((await order(site, 'backfill', body)).json as { started?: boolean }).started, {
    what: 'a backfill to begin',
  });
  return waitFor(
    async () => {
      const { backfill } = (await statusOf(site)).replication.runs;
      return backfill && backfill.startedAt !== before && backfill.endedAt !== null && backfill;
    },
    { what: 'the backfill to end', timeout: 60_000 },
  );
}

/** A row that `putRows` makes: what marked it, and how its work ended. */
export interface GivenRow extends Partial<Mark> {
  readonly outcome: Outcome;
}

async function putRow(store: RowStore, { outcome, ...mark }: GivenRow): Promise<void> {
  const { repository = 'group/app', reference = 'latest', priority = 1 } = mark;
  const now = Date.now();
  await store.mark([{ ...mark, repository, reference, priority }], now);
  const [row, ...others] = await store.claim('test', 100, now, now + 60_000);
  if (!row || others.length > 0) throw new Error(`claimed ${others.length + 1} rows in place of one`);
  await store.finish('test', row, outcome, now);
}

/** Works with a store of its own on the database in a data directory that no proxy has open. */
export async function withStore(dataDir: string, work: (store: RowStore) => Promise<void>): Promise<void> {
  const store = await createSqliteStore({ file: join(dataDir, 'state.db'), log: silent });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

/** Puts rows into the database of a site whose proxy is stopped. */
export function putRows(dataDir: string, rows: readonly GivenRow[]): Promise<void> {
  return withStore(dataDir, async (store) => {
    for (const row of rows) await putRow(store, row);
  });
}

/** Works with the site's database while its proxy is stopped, and starts it again. */
export async function whileStopped(
  site: ProxySite,
  work: (store: RowStore) => Promise<void>,
  env?: Record<string, string>,
): Promise<void> {
  await site.proxy.close();
  await withStore(site.dataDir, work);
  await site.restart(env);
}

async function clear(store: RowStore): Promise<void> {
  await store.setFact('backfill.done', true);
  await store.setFact('removals.suspended', false);
  await store.markAllUnknown(0);
  const now = Date.now();
  for (const row of await store.claim('test', 10_000, now, now + 60_000)) {
    await store.finish('test', row, { kind: 'gone', isRemoval: false }, now);
  }
}

/** Starts the site's proxy again with these rows and no others, as if it had been backfilled before. */
export function restartWith(site: ProxySite, rows: readonly GivenRow[], env?: Record<string, string>): Promise<void> {
  return whileStopped(
    site,
    async (store) => {
      await clear(store);
      for (const row of rows) await putRow(store, row);
    },
    env,
  );
}

const HOUR = 3_600_000;

/** Failed, and not to be tried within the test. */
export function failed(error = 'a blob is missing'): Outcome {
  return { kind: 'failed', error, nextAttempt: Date.now() + HOUR };
}
