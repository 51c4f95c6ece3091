// The admin API: what the page and scripts read, and the orders.
import type { FastifyInstance } from 'fastify';
import type { Administration } from './administration.ts';
import type { Attention, Finding, Image, Pull, Traffic, TrafficWindow, Transfer } from './api.ts';
import {
  orderFields,
  repositoriesOf,
  repositoryQuery,
  rowQuery,
  type OrderInput,
  type ParseRepositories,
  type RepositoriesInput,
  type RowsInput,
} from './input.ts';
import type { Browse, GroupsRequest, RepositoryRequest } from './repository.ts';
import type { RepositoryFilter } from './row-listing.ts';
import { InvalidInput, ORDER_FIELDS, QUERIES } from './schemas.ts';

/** What is remembered of pulls. */
export interface PullsView {
  /** The last pulls, newest first; those after the one with the id `after`. */
  recent(limit: number, after?: number): readonly Pull[];
  /** When a tag or manifest was pulled last since the start, ISO 8601. */
  lastPulledAt(repository: string, reference: string): string | null;
  traffic(window: TrafficWindow): Traffic;
  onPull(listener: (pull: Pull) => void): () => void;
}

/** What the page shows beside what {@link Administration} answers. */
export interface Views {
  readonly pulls: PullsView;
  readonly transfers: { list(): readonly Transfer[] };
  readonly browse: Browse;
  readonly attention: () => Promise<Attention>;
  /** `host` is the one that the page was asked at. */
  readonly image: (repository: string, reference: string, host: string) => Promise<Image>;
  /** The checks of `doctor --read-only`. */
  readonly doctor: () => Promise<readonly Finding[]>;
  /** Removes marks of damage; answers how many. */
  readonly clearDamaged: (filter: { readonly repository?: string; readonly digest?: string }) => Promise<number>;
}

/** What the API answers from. */
export interface ApiDeps {
  readonly administration: Administration;
  readonly views: Views;
  readonly parseRepositories: ParseRepositories;
}

type Query<T> = { Querystring: T };

/** A route's options: its query. */
function asked<const T extends keyof typeof QUERIES>(name: T) {
  return { schema: { querystring: QUERIES[name] } };
}

function addReading(scope: FastifyInstance, { administration, views, parseRepositories }: ApiDeps): void {
  const { pulls, transfers, browse } = views;
  scope.get('/api/status', () => administration.snapshot());
  scope.get<Query<RowsInput>>('/api/replication', asked('rows'), ({ query }) =>
    administration.list(rowQuery(query, parseRepositories)),
  );
  scope.get<Query<RepositoriesInput>>('/api/replication/repositories', asked('repositories'), ({ query }) =>
    administration.listRepositories(repositoryQuery(query, parseRepositories)),
  );
  scope.get<Query<RepositoryRequest>>('/api/repository', asked('repository'), ({ query }) => browse.repository(query));
  scope.get<Query<GroupsRequest>>('/api/groups', asked('groups'), ({ query }) => browse.groups(query));
  scope.get<Query<{ repository: string; reference: string }>>('/api/image', asked('image'), ({ query, host }) =>
    views.image(query.repository, query.reference, host),
  );
  scope.get('/api/attention', asked('nothing'), () => views.attention());
  scope.get('/api/doctor', asked('nothing'), async () => ({ findings: await views.doctor() }));
  scope.get<Query<{ limit: number; after?: number }>>('/api/pulls', asked('pulls'), ({ query }) => ({
    pulls: pulls.recent(query.limit, query.after),
  }));
  scope.get<Query<{ window: TrafficWindow }>>('/api/traffic', asked('traffic'), ({ query }) =>
    pulls.traffic(query.window),
  );
  scope.get('/api/transfers', asked('nothing'), () => ({ transfers: transfers.list() }));
}

function addOrders(scope: FastifyInstance, { administration, views, parseRepositories }: ApiDeps): void {
  /** The repositories, or the one tag or manifest, that an order is for. @throws InvalidInput */
  function filterOf({ repository, reference }: OrderInput): RepositoryFilter | undefined {
    const filter = repositoriesOf(repository, parseRepositories);
    if (!filter || reference === undefined) return filter;
    if (filter.exact === undefined) throw new InvalidInput('reference: give one repository with it');
    return { ...filter, text: `${filter.text}:${reference}`, reference };
  }

  const orders: Readonly<Record<keyof typeof ORDER_FIELDS, (fields: OrderInput) => Promise<object>>> = {
    backfill: (fields) => administration.backfill(filterOf(fields)),
    verify: (fields) => administration.verify(filterOf(fields), { rehash: fields.rehash }),
    retry: (fields) => {
      const { cause } = fields;
      return cause === undefined
        ? administration.retry(filterOf(fields))
        : administration.retry(filterOf(fields), { cause });
    },
    'confirm-removals': (fields) => administration.confirmRemovals(filterOf(fields)),
    'clear-damaged': async ({ repository, digest }) => ({
      cleared: await views.clearDamaged({ ...(repository ? { repository } : {}), ...(digest ? { digest } : {}) }),
    }),
  };

  for (const [name, order] of Object.entries(orders)) {
    const url = `/api/replication/${name}`;
    const fields = ORDER_FIELDS[name as keyof typeof ORDER_FIELDS];
    const schema = { querystring: fields, body: fields };
    scope.post<{ Querystring: OrderInput; Body: OrderInput }>(url, { schema }, async ({ query, body }, reply) =>
      reply.code(202).send(await order(orderFields(query, body))),
    );
    scope.get(url, (_request, reply) =>
      reply
        .code(405)
        .header('allow', 'POST')
        .send({ error: `${url}: ask with POST` }),
    );
  }
}

/** Adds what is read and ordered below `/api`. */
export function addApi(scope: FastifyInstance, deps: ApiDeps): void {
  addReading(scope, deps);
  addOrders(scope, deps);
}
