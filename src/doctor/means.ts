// What the checks ask with: both registries as the proxy connects to them, sockets of our own, and the rows.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Dispatcher } from 'undici';
import { KeyRing } from '../auth/key-ring.ts';
import type { Config } from '../config/config.ts';
import { matchesHost } from '../config/host-pattern.ts';
import { viaOf } from '../registry/client.ts';
import { connectRegistry, type ConnectDeps, type Connection } from '../registry/connect.ts';
import type { Registry } from '../registry/registry.ts';
import { Transport } from '../registry/transport.ts';
import { createSqliteReader, type SqliteReader } from '../replication/store/sqlite.ts';
import type { Side } from './reach.ts';

/** A side of the proxy, and its registry. */
export interface ConnectedSide extends Side {
  readonly registry: Registry;
}

/** Everything that checks ask with; `close` it. */
export interface Means {
  readonly primary: ConnectedSide;
  readonly secondary: ConnectedSide;
  readonly keys: KeyRing;
  /** To the proxy itself. */
  readonly own: Dispatcher;
  /** To the rest of the world, by the environment's proxies. */
  readonly outward: Dispatcher;
  readonly databaseFile: string;
  /** Undefined where there is no database yet. */
  readonly rows: SqliteReader | undefined;
  close(): Promise<void>;
}

const CONNECTIONS = 16;

const log: ConnectDeps['log'] = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

function sidesOf({ primaryUrl, primaryAuth, secondaryUrl, secondaryAuth }: Config): readonly [Side, Side] {
  return [
    {
      name: 'primary',
      url: primaryUrl,
      variable: 'GEO_PRIMARY_URL',
      authVariable: 'GEO_PRIMARY_AUTH',
      auth: primaryAuth,
    },
    {
      name: 'secondary',
      url: secondaryUrl,
      variable: 'GEO_SECONDARY_URL',
      authVariable: 'GEO_SECONDARY_AUTH',
      auth: secondaryAuth,
    },
  ];
}

/** Opens all of it; `timeout` in ms. @throws {KeyFileError} */
export function openMeans(config: Config, { timeout }: { readonly timeout: number }): Means {
  const { keyFile, certFile, caFile, tokenKeyId, tokenIssuer: issuer, tokenService: service, tokenRealm } = config;
  const keyFiles = { keyFile, certFile, onError: () => undefined };
  const keys = new KeyRing(keyFiles, { needsCertificate: tokenKeyId === 'x5c' });
  const redirects: ConnectDeps['redirects'] = {
    isAllowed: (host, port) => matchesHost(config.redirectHosts, host, port),
    ownPorts: new Set([config.listen.port, config.adminListen.port]),
  };
  const named = { issuer, service, tokenKeyId, realm: tokenRealm };
  const deps = { keys, log, caFile, via: viaOf(config.siteName), ...named, redirects };
  const limits = { connections: CONNECTIONS, connectTimeout: timeout };
  const connect = ({ name: registry, url: origin, auth }: Side): Connection =>
    connectRegistry(deps, { registry, origin, auth, ...limits, useProxy: registry === 'primary' });
  const [primarySide, secondarySide] = sidesOf(config);
  const [primary, secondary] = [connect(primarySide), connect(secondarySide)];
  const own = new Transport({ ...limits, bodyTimeout: timeout });
  const outward = new Transport({ ...limits, bodyTimeout: timeout, caFile, useProxy: true });
  const databaseFile = join(config.dataDir, 'state.db');
  const rows = existsSync(databaseFile) ? createSqliteReader({ file: databaseFile, log }) : undefined;
  return {
    primary: { ...primarySide, registry: primary.registry },
    secondary: { ...secondarySide, registry: secondary.registry },
    keys,
    own,
    outward,
    databaseFile,
    rows,
    async close() {
      for (const { registry } of [primary, secondary]) registry.client.breaker.stop();
      await Promise.all([primary.transport, secondary.transport, own, outward].map((transport) => transport.destroy()));
      await rows?.close();
    },
  };
}
