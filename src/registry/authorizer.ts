// How the proxy itself is let in by a registry: where a request's Authorization header comes from.
import type { Minter } from '../auth/mint.ts';
import type { Access } from '../auth/scope.ts';

/** Gives requests to one registry their Authorization header. */
export interface Authorizer {
  /**
   * The Authorization header for a request that needs this access, or undefined for none. `lifetime` (ms) asks for one
   * that ends within that time, where it is ours to say.
   */
  header(access: readonly Access[], lifetime?: number): Promise<string | undefined>;
  /**
   * Told of a 401 with its WWW-Authenticate; answers whether the request is worth one more try (credentials were
   * renewed).
   */
  renew(access: readonly Access[], wwwAuthenticate: string | undefined): Promise<boolean>;
  /** By credentials of a Docker configuration, and not by our key. */
  readonly isAccount?: true;
  /** Whether requests go out without credentials since the registry has not said yet which it wants; never where absent. */
  isAnonymous?(): boolean;
}

/** For a registry that asks for no authentication. */
export function noAuthorizer(): Authorizer {
  return {
    header: () => Promise.resolve(undefined),
    renew: () => Promise.resolve(false),
  };
}

/** For a registry that trusts the sites' key: tokens of our own. */
export function keyAuthorizer(minter: Minter): Authorizer {
  return {
    header: async (access, lifetime) =>
      `Bearer ${await minter.mint(access, lifetime === undefined ? {} : { ttl: lifetime })}`,
    async renew(access) {
      await minter.mint(access, { fresh: true });
      return true;
    },
  };
}
