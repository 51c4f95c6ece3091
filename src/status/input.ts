// What is asked of the admin API, read strictly: a misspelt filter must not mean everything.
import type { RowState } from '../replication/rows.ts';
import type { RepositoryListQuery } from './repository-listing.ts';
import type { RepositoryFilter, RowQuery } from './row-listing.ts';

/** What was asked cannot be read: one line that says where, what, and what to give. */
export class InvalidInput extends Error {}

/** Reads the repositories that are meant. @throws Error that says what is wrong and what is allowed. */
export type ParseRepositories = (text: string) => RepositoryFilter;

/** A parsed query: a text, or several where the name is repeated. */
export type Query = Readonly<Record<string, string | readonly string[]>>;

const STATES: readonly RowState[] = ['pending', 'syncing', 'synced', 'failed', 'unsupported'];
const EXAMPLE = 'give {"repository":"group/project"}, or nothing';
const LIMIT = 100;
const LIMIT_MAX = 1_000;

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 200);
}

function refuseUnknown(names: readonly string[], allowed: readonly string[], where: string): void {
  const unknown = names.find((name) => !allowed.includes(name));
  if (unknown === undefined) return;
  throw new InvalidInput(`${where}: ${shown(unknown)} is unknown; give ${allowed.join(', ')} or nothing`);
}

function single(query: Query, name: string): string | undefined {
  const value = query[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new InvalidInput(`${name}: given ${value.length} times; give it once`);
}

function integer(query: Query, name: string, least: number, most: number): number | undefined {
  const text = single(query, name);
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new InvalidInput(
    `${name}: ${shown(text)} is no whole number from ${least} to ${most}; give one or leave it out`,
  );
}

function states(query: Query): readonly RowState[] | undefined {
  const given = query['state'];
  if (given === undefined) return undefined;
  return [given].flat().flatMap((text) =>
    text.split(',').map((word) => {
      const state = STATES.find((known) => known === word.trim());
      if (state === undefined) throw new InvalidInput(`state: ${shown(word)} is unknown; give ${STATES.join(', ')}`);
      return state;
    }),
  );
}

function flag(query: Query, name: string): boolean | undefined {
  const text = single(query, name);
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new InvalidInput(`${name}: ${shown(text)} is unknown; give true or false, or leave it out`);
}

function limit(query: Query): number {
  return integer(query, 'limit', 1, LIMIT_MAX) ?? LIMIT;
}

function place(query: Query): string | undefined {
  const text = single(query, 'after');
  if (text === '') throw new InvalidInput('after: it is empty; give the next of the page before, or leave it out');
  return text;
}

/** Without what is not given. */
function known<T extends object>(given: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Name in keyof T]?: NonNullable<T[Name]> };
}

function repositories(text: string | undefined, parse: ParseRepositories): RepositoryFilter | undefined {
  try {
    return text === undefined ? undefined : parse(text);
  } catch (error) {
    throw new InvalidInput(`repository: ${(error as Error).message}`, { cause: error });
  }
}

/** The query of a listing: `state`, `repository`, `held`, `waiting`, `after`, `limit` (100 unless given). @throws InvalidInput */
export function parseRowQuery(query: Query, parse: ParseRepositories): RowQuery {
  refuseUnknown(Object.keys(query), ['state', 'repository', 'held', 'waiting', 'after', 'limit'], 'query');
  const given = {
    states: states(query),
    held: flag(query, 'held'),
    waiting: flag(query, 'waiting'),
    repositories: repositories(single(query, 'repository'), parse),
    after: integer(query, 'after', 0, Number.MAX_SAFE_INTEGER),
  };
  return { ...known(given), limit: limit(query) };
}

/** The repositories that are asked for, 100 unless told. @throws InvalidInput */
export function parseRepositoryQuery(query: Query, parse: ParseRepositories): RepositoryListQuery {
  refuseUnknown(Object.keys(query), ['repository', 'failed', 'after', 'limit'], 'query');
  const given = {
    repositories: repositories(single(query, 'repository'), parse),
    failed: flag(query, 'failed'),
    after: place(query),
  };
  return { ...known(given), limit: limit(query) };
}

/** What an order names. */
export interface OrderInput {
  /** All when absent. */
  readonly repositories: RepositoryFilter | undefined;
  readonly rehash: boolean | undefined;
}

/** The fields of a JSON body. */
function fieldsOf(body: string, allowed: readonly string[]): Readonly<Record<string, unknown>> {
  if (body.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new InvalidInput(`body: it is no JSON; ${EXAMPLE}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInput(`body: ${shown(value)} is no object; ${EXAMPLE}`);
  }
  refuseUnknown(Object.keys(value), allowed, 'body');
  return value as Readonly<Record<string, unknown>>;
}

function rehashOf(given: unknown): boolean | undefined {
  if (given === undefined || typeof given === 'boolean') return given;
  if (given === 'true' || given === 'false') return given === 'true';
  throw new InvalidInput(`rehash: ${shown(given)} is unknown; give true or false, or leave it out`);
}

/**
 * An order's fields, each in the query or in a JSON body: `repository`, and `rehash` where that means something.
 * @throws InvalidInput
 */
export function parseOrder(
  query: Query,
  body: unknown,
  parse: ParseRepositories,
  { mayRehash = false }: { readonly mayRehash?: boolean } = {},
): OrderInput {
  const allowed = mayRehash ? ['repository', 'rehash'] : ['repository'];
  refuseUnknown(Object.keys(query), allowed, 'query');
  const fields = fieldsOf(typeof body === 'string' ? body : '', allowed);
  const twice = Object.keys(query).find((name) => name in fields);
  if (twice !== undefined) throw new InvalidInput(`${twice}: given in the query and in the body; give it once`);
  const repository = single(query, 'repository') ?? fields['repository'];
  if (repository !== undefined && typeof repository !== 'string') {
    throw new InvalidInput(`body: repository: ${shown(repository)} is no text; ${EXAMPLE}`);
  }
  return {
    repositories: repositories(repository, parse),
    rehash: rehashOf(single(query, 'rehash') ?? fields['rehash']),
  };
}
