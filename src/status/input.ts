// From what the schemas let through to what the administration takes.
import type { RepositorySort } from '../replication/row-views.ts';
import type { ShownState } from '../replication/row.ts';
import type { RepositoryListQuery } from './repository-listing.ts';
import type { RepositoryFilter, RowQuery } from './row-listing.ts';
import { InvalidInput } from './schemas.ts';

/** Reads the repositories that are meant. @throws Error that says what is wrong and what is allowed. */
export type ParseRepositories = (text: string) => RepositoryFilter;

/** A query of rows, as its schema lets it through. */
export interface RowsInput {
  readonly state?: readonly string[];
  readonly repository?: string;
  readonly held?: boolean;
  readonly waiting?: boolean;
  readonly cause?: string;
  readonly after?: number;
  readonly limit: number;
}

/** A query of repositories, as its schema lets it through. */
export interface RepositoriesInput {
  readonly repository?: string;
  readonly failed?: boolean;
  readonly group?: string;
  readonly search?: string;
  readonly state?: ShownState | '';
  readonly sort: RepositorySort;
  readonly after?: string;
  readonly limit: number;
}

/** The fields of an order, as their schema lets them through. */
export interface OrderInput {
  readonly repository?: string;
  readonly reference?: string;
  readonly rehash?: boolean;
  readonly digest?: string;
  readonly cause?: string;
}

type Known<T> = { [Name in keyof T]?: Exclude<T[Name], undefined | ''> };

/** Without what is not given, or empty. */
function known<T extends object>(given: T): Known<T> {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined && value !== '');
  return Object.fromEntries(entries) as Known<T>;
}

/** The repositories that a text means. @throws InvalidInput */
export function repositoriesOf(text: string | undefined, parse: ParseRepositories): RepositoryFilter | undefined {
  try {
    return text === undefined ? undefined : parse(text);
  } catch (error) {
    throw new InvalidInput(`repository: ${(error as Error).message}`, { cause: error });
  }
}

/** The rows that are asked for. @throws InvalidInput */
export function rowQuery({ state, repository, limit, ...rest }: RowsInput, parse: ParseRepositories): RowQuery {
  const states = state?.flatMap((text) => text.split(',').map((word) => word.trim() as ShownState));
  return { ...known({ ...rest, states, repositories: repositoriesOf(repository, parse) }), limit };
}

/** The repositories that are asked for. @throws InvalidInput */
export function repositoryQuery(
  { repository, limit, sort, ...rest }: RepositoriesInput,
  parse: ParseRepositories,
): RepositoryListQuery {
  return { ...known({ ...rest, repositories: repositoriesOf(repository, parse) }), sort, limit };
}

/** An order's fields, each given in the query or in the body. @throws InvalidInput */
export function orderFields(query: OrderInput, body: OrderInput): OrderInput {
  const twice = Object.keys(query).find((name) => name in body);
  if (twice !== undefined) throw new InvalidInput(`${twice}: given in the query and in the body; give it once`);
  const fields = { ...query, ...body };
  if (fields.reference !== undefined && fields.repository === undefined) {
    throw new InvalidInput('reference: give its repository, too');
  }
  return fields;
}
