// Two sites as GitLab Geo has them: a primary and a secondary registry that trust one key, and its token service.
import { createSiteKeys, type KeyOptions, type SiteKeys } from './keys.ts';
import type { Target } from './push.ts';
import { startRegistry, type Registry, type RegistrySettings } from './registry.ts';
import { startRelay, type Relay } from './relay.ts';
import { startTokenService, type TokenService, type TokenServiceOptions } from './token-service.ts';
import { repositoryAccess, type TokenFor } from './token.ts';
import { tempDir } from './tool.ts';

export interface SitesOptions extends Pick<
  TokenServiceOptions,
  'users' | 'projects' | 'publicProjects' | 'port' | 'realm' | 'x5c'
> {
  readonly keys?: KeyOptions;
  /** Settings of the primary registry other than its authentication. */
  readonly primary?: RegistrySettings;
  readonly secondary?: RegistrySettings;
}

export interface Sites {
  readonly keys: SiteKeys;
  readonly tokens: TokenService;
  readonly primary: Registry;
  readonly secondary: Registry;
  /** Between proxy and primary: what crosses it is what crosses the WAN. */
  readonly relay: Relay;
  /** Between proxy and secondary. */
  readonly localRelay: Relay;
  /** The proxy's data directory. */
  readonly dataDir: string;
  readonly tokenFor: TokenFor;
  /** A token to pull from one repository. */
  pullToken(repository: string): string;
  /** To push to (and delete from, and pull from) a repository of the primary registry itself, past the relay. */
  primaryTarget(repository: string): Target;
  /** The same of the secondary registry. */
  secondaryTarget(repository: string): Target;
  /** The proxy's environment, pointing it at both relays. */
  env(): Record<string, string>;
  close(): Promise<void>;
}

function registryAuth(tokens: TokenService, keys: SiteKeys): RegistrySettings {
  const { realm, service, issuer } = tokens;
  return { auth: { realm, service, issuer, rootCertBundle: keys.certFile } };
}

/** Starts all of it: keys, token service, both registries with token authentication, and a relay before each. */
export async function startSites(options: SitesOptions = {}): Promise<Sites> {
  const keys = await createSiteKeys(options.keys);
  const tokens = await startTokenService({ ...options, keys });
  const auth = registryAuth(tokens, keys);
  const [primary, secondary] = await Promise.all([
    startRegistry({ name: 'primary', ...options.primary, ...auth }),
    startRegistry({ name: 'secondary', ...options.secondary, ...auth }),
  ]);
  const relay = await startRelay({ target: primary.url });
  const localRelay = await startRelay({ target: secondary.url });
  const data = await tempDir();
  const targetOf = (registry: Registry, repository: string): Target => {
    const token = tokens.tokenFor([repositoryAccess(repository, 'pull', 'push', 'delete')]);
    return { url: registry.url, repository, token };
  };
  return {
    keys,
    tokens,
    primary,
    secondary,
    relay,
    localRelay,
    dataDir: data.path,
    tokenFor: tokens.tokenFor,
    pullToken: (repository) => tokens.tokenFor([repositoryAccess(repository, 'pull')]),
    primaryTarget: (repository) => targetOf(primary, repository),
    secondaryTarget: (repository) => targetOf(secondary, repository),
    env: () => ({
      GEO_SITE_NAME: 'test',
      GEO_LISTEN: '127.0.0.1:0',
      GEO_ADMIN_LISTEN: '127.0.0.1:0',
      GEO_PRIMARY_URL: relay.url,
      GEO_SECONDARY_URL: localRelay.url,
      GEO_KEY_FILE: keys.keyFile,
      GEO_TOKEN_REALM: tokens.realm,
      GEO_DATA_DIR: data.path,
      ...(options.x5c ? { GEO_CERT_FILE: keys.certFile, GEO_TOKEN_KEY_ID: 'x5c' } : {}),
    }),
    async close() {
      await Promise.all([relay.close(), localRelay.close(), primary.close(), secondary.close(), tokens.close()]);
      await Promise.all([keys.remove(), data.remove()]);
    },
  };
}
