// One of the two registries, as init connects to it: without credentials, or with those that are tried.
import type { KeyRing } from '../auth/key-ring.ts';
import { lookAt, type Look, type Unreachable } from '../doctor/look.ts';
import { reachAdvice } from '../doctor/reach.ts';
import type { Settings } from '../doctor/token.ts';
import { viaOf } from '../registry/client.ts';
import { connectRegistry, type RegistryAuth } from '../registry/connect.ts';
import type { Registry } from '../registry/registry.ts';

/** Which of the two. */
export type SideName = 'primary' | 'secondary';

/** How to reach a registry and what to show it; `timeout` in ms. */
export interface SideOptions {
  readonly url: URL;
  readonly auth: RegistryAuth;
  readonly keys: KeyRing;
  readonly caFile?: string | undefined;
  /** Where its token service may be, besides its own host. */
  readonly realm?: string | undefined;
  readonly settings: Settings;
  readonly timeout: number;
}

const CONNECTIONS = 8;

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Runs some work with a registry, and closes its connections after it. */
export async function withSide<T>(
  name: SideName,
  { url, auth, keys, caFile, realm, settings, timeout }: SideOptions,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const { tokenIssuer: issuer, tokenService: service, tokenKeyId } = settings;
  const deps = { keys, log: silent, caFile, realm, via: viaOf('init'), issuer, service, tokenKeyId };
  const limits = { connections: CONNECTIONS, connectTimeout: timeout, useProxy: name === 'primary' };
  const { registry, transport } = connectRegistry(deps, { registry: name, origin: url, auth, ...limits });
  try {
    return await work(registry);
  } finally {
    registry.client.breaker.stop();
    await transport.destroy();
  }
}

/** Looks at a registry without credentials. */
export function lookAtSide(name: SideName, options: SideOptions): Promise<Look | Unreachable> {
  const { timeout } = options;
  return withSide(name, { ...options, auth: 'none' }, (registry) => lookAt(registry, { clock: Date.now, timeout }));
}

/** Why what answers at a URL cannot be the registry that was asked for, with what to do; undefined where it can. */
export function lookProblem({ href }: URL, look: Look | Unreachable): string | undefined {
  if (look.kind === 'unreachable') return `${href} cannot be reached: ${look.reason}; ${reachAdvice(look.reason)}`;
  if (look.isRegistry) return undefined;
  if (look.location !== undefined) return `${href} redirects to ${look.location}: give the registry's own URL`;
  return `what answers at ${href} is no registry: status ${look.status} for /v2/; give the registry's own address, not that of GitLab or of a page`;
}

/** Whether a registry accepts the credentials of the Docker configuration; false also where it cannot be asked. */
export function acceptsLogin(name: SideName, options: SideOptions): Promise<boolean> {
  return withSide(name, { ...options, auth: 'docker-config' }, async (registry) => {
    const ping = await registry.ping({ fresh: true });
    return ping.kind === 'found' && ping.value.acceptsUs;
  });
}
