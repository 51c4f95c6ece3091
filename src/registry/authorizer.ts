// How requests to a registry are authorized.
import type { Minter } from '../auth/mint.ts';
import type { Access } from '../auth/scope.ts';

/** Gives requests to one registry their Authorization header. */
export interface Authorizer {
  /** The header for a request that needs this access, or undefined for none; tokens that we mint expire in `lifetime` ms. */
  header(access: readonly Access[], lifetime?: number): Promise<string | undefined>;
  /** Handles a 401 with its WWW-Authenticate; resolves with whether credentials were renewed, so that a retry may succeed. */
  renew(access: readonly Access[], wwwAuthenticate: string | undefined): Promise<boolean>;
  /** Whether it uses credentials of a Docker configuration, and not our key. */
  readonly isAccount?: true;
  /** Whether requests go out without credentials because the registry has not asked for any yet. */
  isAnonymous?(): boolean;
}

/** For a registry without authentication. */
export function noAuthorizer(): Authorizer {
  return {
    header: () => Promise.resolve(undefined),
    renew: () => Promise.resolve(false),
  };
}

/** For a registry that trusts the sites' key: tokens that we mint. */
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
