// Asks `/v2/`: whether a registry answers there, and whether it accepts our credentials. Both decide what other answers mean.
import { createSingleFlight } from '../lib/single-flight.ts';
import { RegistryOutage } from './answer.ts';
import type { Client } from './client.ts';
import { sendOnward } from './redirect.ts';
import { discard, headerText, isPage, type RegistryResponse } from './response.ts';

/** The answer of `/v2/` (distribution-spec #determining-support). */
export interface Ping {
  /** Whether a registry answers there, and not a default back-end or a maintenance page. */
  readonly isRegistry: boolean;
  /** Whether it accepts our credentials. */
  readonly acceptsUs: boolean;
  /** Whether its metadata is in a database, as GitLab's may be: its files then do not show what a repository has. */
  readonly hasDatabase: boolean;
  /** Its version and features: when they change it may accept what it refused before. */
  readonly version: string;
}

/**
 * Asks `/v2/` with our own credentials. A good answer is cached for a few seconds; `fresh` asks again, and an answer that
 * is not `isBelieved` is not cached. @throws RegistryOutage
 */
export type Pinger = (options?: { readonly fresh?: boolean; readonly isBelieved?: boolean }) => Promise<Ping>;

const PING_TIMEOUT = 5_000;

// GitLab's, and HTTP's own; Distribution sends none.
const VERSION_HEADERS = [
  'docker-distribution-api-version',
  'gitlab-container-registry-version',
  'gitlab-container-registry-features',
  'gitlab-container-registry-database-enabled',
  'server',
];
const VERSION_MAX = 1_024;

function versionOf(response: RegistryResponse): string {
  const values = VERSION_HEADERS.map((name) => headerText(response, name) ?? '');
  return values.join(' | ').slice(0, VERSION_MAX);
}

/** Whether an answer of `/v2/` is a registry's. */
export function answersAsRegistry(response: RegistryResponse): boolean {
  const { statusCode, headers } = response;
  const speaksV2 = headers['docker-distribution-api-version'] !== undefined;
  return (
    (statusCode === 200 && !isPage(response)) ||
    (statusCode === 401 && headers['www-authenticate'] !== undefined) ||
    (statusCode < 500 && speaksV2)
  );
}

/** A {@link Pinger} that caches good answers for `ttl` ms of a monotonic clock. */
export function createPinger(client: Client, { ttl = 5_000, now = () => performance.now() } = {}): Pinger {
  const flight = createSingleFlight<Ping>();
  let last: { at: number; ping: Ping } | undefined;

  async function ask(isBelieved: boolean): Promise<Ping> {
    const response = await sendOnward(client, { method: 'GET', target: '/v2/', access: [], timeout: PING_TIMEOUT });
    discard(response);
    const ping = {
      isRegistry: answersAsRegistry(response),
      acceptsUs: response.statusCode === 200,
      hasDatabase: response.headers['gitlab-container-registry-database-enabled'] === 'true',
      version: versionOf(response),
    };
    if (isBelieved) last = ping.isRegistry && ping.acceptsUs ? { at: now(), ping } : undefined;
    return ping;
  }

  return async ({ fresh = false, isBelieved = true } = {}) => {
    if (client.breaker.isOpen) throw new RegistryOutage(client.registry, 'circuit breaker open');
    if (!fresh && last && now() - last.at < ttl) return last.ping;
    return flight(String(isBelieved), () => ask(isBelieved));
  };
}
