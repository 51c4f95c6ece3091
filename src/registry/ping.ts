// What a registry says of itself and of our key: two facts that decide how its other answers are read.
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
  /** Whether it keeps its links in a database, as GitLab's may: its files then do not say what a repository has. */
  readonly hasDatabase: boolean;
  /** What it tells of its version and features: when that changes it may take what it refused. */
  readonly version: string;
}

/** Asks `/v2/` with our own token; a good answer is believed for a few seconds unless a `fresh` one is wanted;
 * one that is not `isBelieved` is for the one who asks alone. @throws RegistryOutage */
export type Pinger = (options?: { readonly fresh?: boolean; readonly isBelieved?: boolean }) => Promise<Ping>;

const PING_TIMEOUT = 5_000;

// GitLab's registry, and others by the field of HTTP; Distribution tells none.
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

/** A pinger that remembers a good answer for `ttl` milliseconds of a clock that is never put back; bad ones are asked again. */
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
