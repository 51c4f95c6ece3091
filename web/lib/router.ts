// The address behind the hash: `#/image?repository=group%2Fapp&reference=1.2` is a path and its parameters.
import { createStore, useStore } from './store.ts';

export interface Route {
  readonly path: string;
  readonly query: URLSearchParams;
}

/** The route that a hash names; `/` where it names none. */
export function parseHash(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  return { path: path.startsWith('/') ? path : '/', query: new URLSearchParams(query) };
}

/** The link to a route; parameters that are undefined or empty are left out. */
export function linkTo(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const text = new URLSearchParams(given).toString();
  return `#${path}${text && `?${text}`}`;
}

/** The link to an image's page, or to its repository's where the row is all of that. */
export function imageLink(repository: string, reference: string): string {
  if (reference === '*') return linkTo('/repository', { name: repository });
  return linkTo('/image', { repository, reference });
}

const routes = createStore({ route: parseHash(location.hash) });
addEventListener('hashchange', () => routes.set({ route: parseHash(location.hash) }));

/** The route of now. */
export function useRoute(): Route {
  return useStore(routes, ({ route }) => route);
}

/** Changes parameters of the present route, without a step in the history: for what a person types. */
export function changeQuery(change: Readonly<Record<string, string>>): void {
  const { path, query } = routes.get().route;
  history.replaceState(null, '', linkTo(path, { ...Object.fromEntries(query), ...change }));
  routes.set({ route: parseHash(location.hash) });
}
