// Checks with the local registry whether local blobs can be delivered as the operator wants.
import type { Log } from '../lib/log.ts';
import { failureText, type Failure } from '../registry/answer.ts';
import type { Ping } from '../registry/ping.ts';
import type { Registry } from '../registry/registry.ts';

/** What the operator wants. */
export interface Wanted {
  readonly delivery: 'stream' | 'accel-proxy' | 'accel-file';
  readonly root: string | undefined;
  /** How we authenticate to the local registry. */
  readonly auth: 'key' | 'docker-config' | 'none';
}

// How often (ms) a registry is asked whether it has a database, and how soon again where it did not answer.
const LOOK = 60_000;
const LOOK_AGAIN = 1_000;

/** Whether an Authorization header holds a password. */
export function isPassword(authorization: string | undefined): boolean {
  return authorization !== undefined && /^basic /i.test(authorization);
}

function problemOf(
  { delivery, root, auth }: Wanted,
  { hasDatabase, acceptsUs }: Ping,
  authorization: string | undefined,
): string | undefined {
  if (root !== undefined && hasDatabase) {
    return 'GEO_SECONDARY_ROOT: the local registry keeps in a database what its repositories have, its files do not tell; allowed there: no GEO_SECONDARY_ROOT, and GEO_BLOB_DELIVERY stream or accel-proxy';
  }
  if (delivery === 'accel-proxy' && auth === 'docker-config' && !acceptsUs) {
    return 'GEO_BLOB_DELIVERY: accel-proxy needs credentials that the local registry accepts, and the Docker configuration has none; allowed: such credentials, or GEO_SECONDARY_AUTH key or none';
  }
  if (delivery === 'accel-proxy' && isPassword(authorization)) {
    return 'GEO_BLOB_DELIVERY: accel-proxy hands nginx a token, and the local registry takes a password only; allowed: stream, accel-file';
  }
  return undefined;
}

/**
 * Asks the local registry where something depends on it; one that cannot be asked is no reason not to start.
 * @throws {Error} one line that names the variable.
 */
export async function checkDelivery(
  wanted: Wanted,
  { ping, client }: Pick<Registry, 'ping' | 'client'>,
  log: Log,
): Promise<void> {
  if (wanted.root === undefined && wanted.delivery !== 'accel-proxy') return;
  const unknown = (failure: Failure): void =>
    log.warn(
      { reason: failureText(failure) },
      'how local blobs can be delivered is not known until the local registry answers',
    );
  const answer = await ping();
  if (answer.kind !== 'found') return unknown(answer);
  const credentials = await client.credentials([]);
  if (credentials.kind !== 'found') return unknown(credentials);
  const problem = answer.value.isRegistry ? problemOf(wanted, answer.value, credentials.value) : undefined;
  if (problem !== undefined) throw new Error(problem);
}

/** Whether the registry goes by its files, by its last answer; false until it has answered. An outage changes nothing. */
export function createGoesByFiles(
  ping: Registry['ping'],
  clock = (): number => performance.now(),
): () => Promise<boolean> {
  let known: boolean | undefined;
  let askedAt = -Infinity;
  return async () => {
    if (clock() - askedAt >= (known === undefined ? LOOK_AGAIN : LOOK)) {
      askedAt = clock();
      const answer = await ping();
      if (answer.kind === 'found' && answer.value.isRegistry) known = !answer.value.hasDatabase;
    }
    return known ?? false;
  };
}
