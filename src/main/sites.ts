// Both registries as the proxy knows them, and the keys with which it is known to them and knows its clients.
import { createGate, type Gate } from '../auth/authorize.ts';
import { libtrustId } from '../auth/key-id.ts';
import { KeyRing } from '../auth/key-ring.ts';
import { Verifier } from '../auth/verify.ts';
import type { Config } from '../config/config.ts';
import { matchesHost } from '../config/host-pattern.ts';
import type { Log } from '../lib/log.ts';
import { watchFile } from '../lib/watch-file.ts';
import { viaOf } from '../registry/client.ts';
import { connectRegistry, type ConnectDeps } from '../registry/connect.ts';
import type { Registry } from '../registry/registry.ts';
import type { Transport } from '../registry/transport.ts';

/** The primary and the secondary, connected. */
export interface Sites {
  readonly primary: Registry;
  readonly secondary: Registry;
  /** The sockets of the secondary, for requests that another library makes. */
  readonly localSockets: Transport;
  readonly gate: Gate;
  /** The id by which Distribution 2 and GitLab know the key that we sign with now. */
  readonly keyId: () => string | undefined;
  /** Reads keys, certificates and certificate authorities again; the old ones stay where that fails. */
  reload(): void;
  /** What of the files could not be read again, a reason each; what was read before stays in use. */
  troubles(): readonly string[];
  stop(): Promise<void>;
}

/** Milliseconds to the headers of the local registry's answer, and to a connection to it. */
export const SECONDARY_TIMEOUT = 2_000;
const SECONDARY_CONNECTIONS = 1_024;
// How often (ms) the certificate authorities are looked at.
const CA_LOOK = 5_000;

/** Both registries; neither leads us to a port of `ownPorts` on this machine. @throws what the key and certificate files say. */
export function connectSites(config: Config, log: Log, ownPorts: ReadonlySet<number>): Sites {
  const { tokenRealm: realm = '', tokenService: service, tokenIssuer: issuer, tokenKeyId, caFile } = config;
  const keys = new KeyRing(
    {
      keyFile: config.keyFile,
      certFile: config.certFile,
      onError: (message) => log.error({ reason: message }, 'keeping the old keys'),
    },
    { needsCertificate: tokenKeyId === 'x5c' },
  );
  const via = viaOf(config.siteName);
  const isAllowed = (host: string, port: number): boolean => matchesHost(config.redirectHosts, host, port);
  const connecting: ConnectDeps = {
    keys,
    log,
    caFile,
    via,
    issuer,
    service,
    tokenKeyId,
    realm: config.tokenRealm,
    redirects: { isAllowed, ownPorts },
  };
  const there = connectRegistry(connecting, {
    registry: 'primary',
    origin: config.primaryUrl,
    auth: config.primaryAuth,
    connections: config.fetchConnections,
    connectTimeout: config.primaryTimeout,
    useProxy: true,
  });
  const here = connectRegistry(connecting, {
    registry: 'secondary',
    origin: config.secondaryUrl,
    auth: config.secondaryAuth,
    connections: SECONDARY_CONNECTIONS,
    connectTimeout: SECONDARY_TIMEOUT,
    useProxy: false,
  });
  const verifier = config.clientAuth === 'token' ? new Verifier({ keys, issuer, audience: service }) : undefined;

  let authorities: string | undefined;

  function reload(): void {
    if (keys.reload()) log.info({}, 'other keys are in use');
    try {
      there.transport.reload();
      here.transport.reload();
      authorities = undefined;
    } catch (error) {
      const { message } = error as Error;
      authorities = `GEO_CA_FILE: ${message}; the certificate authorities that were read before stay in use`;
      log.error({ reason: message }, 'keeping the old certificate authorities');
    }
  }

  const unwatch = watchFile(caFile, CA_LOOK, reload);
  return {
    primary: there.registry,
    secondary: here.registry,
    localSockets: here.transport,
    keyId: () => keys.current().trusted.slice(0, 1).map(libtrustId)[0],
    gate: createGate({ verifier, realm, service }),
    reload,
    troubles: () => [keys.trouble(), authorities].filter((trouble) => trouble !== undefined),
    async stop() {
      unwatch();
      there.registry.client.breaker.stop();
      here.registry.client.breaker.stop();
      await Promise.all([there.transport.destroy(), here.transport.destroy()]);
    },
  };
}
