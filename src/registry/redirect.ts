// Follows redirects: where they may lead, and without our token on another host.
import { AddressRefused } from './address-rule.ts';
import { RegistryOutage } from './answer.ts';
import type { Client, RegistryRequest } from './client.ts';
import { discard, headerText, type RegistryResponse } from './response.ts';

/** The answer at the end of all redirects, not a redirect itself. */
export interface Followed {
  readonly response: RegistryResponse;
  /** Whether it came from a redirect's target, which may be a storage and not a registry. */
  readonly isStorage: boolean;
  /** The host that answered, where that is not the registry's. */
  readonly elsewhere?: string;
}

const REDIRECTS_MAX = 5;
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);

/** Whether a status is that of a redirect (RFC 9110 section 15.4). */
export function isRedirect(statusCode: number): boolean {
  return REDIRECT_STATUS.has(statusCode);
}

/**
 * Where a redirect from `from` leads. The addresses of its host are checked when it is connected to (`address-rule.ts`).
 * @throws RegistryOutage for a missing or invalid Location, another protocol, or from https to http.
 */
function targetOf({ registry }: Client, location: string | undefined, from: URL): URL {
  const target = location !== undefined && URL.canParse(location, from) ? new URL(location, from) : undefined;
  const isDowngrade = from.protocol === 'https:' && target?.protocol === 'http:';
  if (target && /^https?:$/.test(target.protocol) && !isDowngrade) return target;
  throw new RegistryOutage(
    registry,
    isDowngrade ? `redirect from https to http, to ${target!.host}` : 'redirect that cannot be followed',
  );
}

/** Sends the request to a redirect's target: without our token where that is another host. */
async function sendTo(client: Client, first: RegistryRequest, target: URL): Promise<RegistryResponse> {
  if (client.isHome(target)) return client.send({ ...first, target });
  try {
    return await client.send({ ...first, target, access: undefined });
  } catch (error) {
    if (!(error instanceof RegistryOutage)) throw error;
    const { reason, cause } = error;
    // Of a forbidden address it is not known whether a storage is there.
    const away = cause instanceof AddressRefused ? {} : { storage: 'away' as const };
    const text = `redirected to ${target.host}: ${reason}`;
    throw new RegistryOutage(client.registry, text, cause, { counts: false, ...away });
  }
}

/** Follows a registry's redirect, `location`, of a request without a body. @throws RegistryOutage */
export async function followRedirect(
  client: Client,
  first: RegistryRequest,
  location: string | undefined,
): Promise<Followed> {
  let url = targetOf(client, location, new URL(first.target, client.origin));
  for (let hop = 1; hop <= REDIRECTS_MAX; hop += 1) {
    const response = await sendTo(client, first, url);
    if (!isRedirect(response.statusCode)) {
      return { response, isStorage: true, ...(client.isHome(url) ? {} : { elsewhere: url.host }) };
    }
    discard(response);
    url = targetOf(client, headerText(response, 'location'), url);
  }
  throw new RegistryOutage(client.registry, 'too many redirects');
}

/** Sends a request without a body, and follows redirects. @throws RegistryOutage */
export async function sendFollowing(client: Client, first: RegistryRequest): Promise<Followed> {
  const response = await client.send(first);
  if (!isRedirect(response.statusCode)) return { response, isStorage: false };
  discard(response);
  return followRedirect(client, first, headerText(response, 'location'));
}

/**
 * As {@link sendFollowing} for what only a registry answers: it may redirect to another name of its own (a host, https, a
 * region). @throws RegistryOutage, also where that wants credentials: ours are for the configured registry.
 */
export async function sendOnward(client: Client, first: RegistryRequest): Promise<RegistryResponse> {
  const { response, elsewhere } = await sendFollowing(client, first);
  if (elsewhere === undefined || response.statusCode !== 401) return response;
  discard(response);
  const reason = `redirected to ${elsewhere}, which wants credentials: give its URL as the registry's`;
  throw new RegistryOutage(client.registry, reason, undefined, { counts: false });
}
