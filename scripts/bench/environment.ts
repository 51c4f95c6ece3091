// The proxy's environment in the benchmark, and the headers of who asks it.
import type { Sites } from '../../test/support/sites.ts';
import { ACCEPT_ALL } from '../../src/oci/media-types.ts';

/** Straight to the registries: the relays of the tests would be measured, too. */
export function environment(sites: Sites, more: Record<string, string> = {}): Record<string, string> {
  return {
    ...sites.env(),
    GEO_PRIMARY_URL: sites.primary.url,
    GEO_SECONDARY_URL: sites.secondary.url,
    GEO_LOG_LEVEL: 'info',
    ...more,
  };
}

/** A client's headers, as Docker sends them. */
export function pullHeaders(sites: Sites, repository: string): Record<string, string> {
  return { authorization: `Bearer ${sites.pullToken(repository)}`, accept: ACCEPT_ALL };
}
