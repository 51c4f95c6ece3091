// Following redirects by hand: where they may lead, and without our token on another host.
import { AddressRefused } from './address-rule.ts';
import { RegistryOutage, StorageOutage } from './answer.ts';
import type { Client, RegistryRequest } from './client.ts';
import { discard, headerText, type RegistryResponse } from './response.ts';

/** The answer at the end of all redirects, not a redirect itself. */
export interface Followed {
  readonly response: RegistryResponse;
  /** Whether it came from where the registry led: its words are then not a registry's. */
  readonly isStorage: boolean;
  /** The host of another origin that gave the answer. */
  readonly elsewhere?: string;
}

const REDIRECTS_MAX = 5;
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);

/** Whether a status is that of a redirect (RFC 9110 section 15.4). */
export function isRedirect(statusCode: number): boolean {
  return REDIRECT_STATUS.has(statusCode);
}

/**
 * Where a redirect from `from` leads. The addresses behind its host are judged when it is connected to, see
 * `address-rule.ts`. @throws RegistryOutage where it leads nowhere, to another protocol, or from https to http.
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

/** A storage must not see our token, and its own signature must stay as it is. */
async function sendTo(client: Client, first: RegistryRequest, target: URL): Promise<RegistryResponse> {
  if (client.isHome(target)) return client.send({ ...first, target });
  try {
    return await client.send({ ...first, target, access: undefined });
  } catch (error) {
    if (!(error instanceof RegistryOutage)) throw error;
    const { reason, cause } = error;
    // Where we must not go there may be a storage or not.
    const Failed = cause instanceof AddressRefused ? RegistryOutage : StorageOutage;
    throw new Failed(client.registry, `redirected to ${target.host}: ${reason}`, cause, { counts: false });
  }
}

/** Follows a registry's redirect, `location`, of a request without a body. @throws RegistryOutage, StorageOutage */
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

/** Sends a request without a body, and follows where it leads. @throws RegistryOutage, StorageOutage */
export async function sendFollowing(client: Client, first: RegistryRequest): Promise<Followed> {
  const response = await client.send(first);
  if (!isRedirect(response.statusCode)) return { response, isStorage: false };
  discard(response);
  return followRedirect(client, first, headerText(response, 'location'));
}

/**
 * As {@link sendFollowing} for what a registry itself answers, and no storage: it may lead to its own name (another host,
 * https, a region). @throws RegistryOutage, also where that wants credentials: ours are for the registry that we know.
 */
export async function sendOnward(client: Client, first: RegistryRequest): Promise<RegistryResponse> {
  const { response, elsewhere } = await sendFollowing(client, first);
  if (elsewhere === undefined || response.statusCode !== 401) return response;
  discard(response);
  const reason = `redirected to ${elsewhere}, which wants credentials: give its URL as the registry's`;
  throw new RegistryOutage(client.registry, reason, undefined, { counts: false });
}
