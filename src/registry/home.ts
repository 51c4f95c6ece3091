// A registry's own origin: where its token may go.

/** Where a request goes. */
export interface Destination {
  /** As `URL.origin`. */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
}

/** The origin of a registry. */
export class Home {
  /** As `URL.origin`, which is computed anew at each access. */
  readonly origin: string;
  readonly #url: URL;
  readonly #secured: string;

  constructor(url: URL) {
    this.#url = url;
    this.origin = url.origin;
    // A registry that redirects from http to https gets our token there: it has crossed the network in plain text before.
    this.#secured = url.protocol === 'http:' && url.port === '' ? `https://${url.host}` : this.origin;
  }

  /** Whether an origin is the registry's: its own, or that of the same host by https where ours is http. */
  has(origin: string): boolean {
    return origin === this.origin || origin === this.#secured;
  }

  /** Where a target leads: a path on the registry, or a whole URL. */
  locate(target: string | URL): Destination {
    // Most requests; a path of ours needs no parsing.
    if (typeof target === 'string' && target.startsWith('/v2/')) return { origin: this.origin, path: target };
    const { origin, pathname, search } = new URL(target, this.#url);
    return { origin, path: pathname + search };
  }
}
