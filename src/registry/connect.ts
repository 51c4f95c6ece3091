// Connects to a registry: its sockets, its credentials, and its nouns.
import type { KeyRing } from '../auth/key-ring.ts';
import { Minter, type TokenKeyId } from '../auth/mint.ts';
import type { Log } from '../lib/log.ts';
import { portOf } from './agent.ts';
import { createAddressRule, type AddressRuleOptions } from './address-rule.ts';
import { keyAuthorizer, noAuthorizer, type Authorizer } from './authorizer.ts';
import { createCredentialReader, credentialFiles } from './authorizer-credentials.ts';
import { DockerConfigAuthorizer } from './authorizer-docker-config.ts';
import { createClient } from './client.ts';
import { createRegistry, type Registry } from './registry.ts';
import { Transport } from './transport.ts';

/** How we authenticate: tokens that we mint, the credentials of a Docker `config.json`, or nothing. */
export type RegistryAuth = 'key' | 'docker-config' | 'none';

/** One registry, and how to reach it; times in milliseconds. */
interface ConnectOptions {
  readonly registry: 'primary' | 'secondary';
  readonly origin: URL;
  readonly auth: RegistryAuth;
  readonly connections: number;
  readonly connectTimeout: number;
  /** Whether HTTPS_PROXY and NO_PROXY are used. */
  readonly useProxy: boolean;
}

/** What both registries share. */
export interface ConnectDeps {
  readonly keys: KeyRing;
  readonly log: Log;
  readonly caFile?: string | undefined;
  readonly via: string;
  readonly issuer: string;
  readonly service: string;
  readonly tokenKeyId: TokenKeyId;
  /** Where clients get tokens. The operator has chosen it, so that credentials may go there too. */
  readonly realm?: string | undefined;
  /** Which addresses redirects may lead to. */
  readonly redirects?: AddressRuleOptions;
}

/** A registry, and its transport for requests of other libraries. */
export interface Connection {
  readonly registry: Registry;
  readonly transport: Transport;
}

// A body that pauses for longer counts as broken off.
const BODY_TIMEOUT = 30_000;

function createAuthorizer(deps: ConnectDeps, { auth, origin }: ConnectOptions, dispatcher: Transport): Authorizer {
  if (auth === 'none') return noAuthorizer();
  if (auth === 'key') return keyAuthorizer(new Minter(deps));
  const readCredentials = createCredentialReader({ files: credentialFiles(process.env), env: process.env });
  const trustedRealms = deps.realm === undefined ? [] : [new URL(deps.realm).host];
  return new DockerConfigAuthorizer({ registry: origin, readCredentials, dispatcher }, { trustedRealms });
}

/** The rule's options, with the realm allowed wherever it is. */
function withRealm({ realm, redirects = {} }: ConnectDeps): AddressRuleOptions {
  const { isAllowed = () => false } = redirects;
  const chosen = realm === undefined ? undefined : new URL(realm);
  if (!chosen) return redirects;
  const [name, at] = [chosen.hostname.replace(/^\[|\]$/g, ''), portOf(chosen)];
  return { ...redirects, isAllowed: (host, port) => (host === name && port === at) || isAllowed(host, port) };
}

/** @see Connection */
export function connectRegistry(deps: ConnectDeps, options: ConnectOptions): Connection {
  const { registry, origin, connections, connectTimeout, useProxy } = options;
  const { caFile, via, log } = deps;
  const bounds = { home: origin.origin, rule: createAddressRule(origin, withRealm(deps)) };
  const limits = { connections, connectTimeout, bodyTimeout: BODY_TIMEOUT };
  const transport = new Transport({ ...limits, caFile, useProxy, bounds });
  const onBreaker = (isOpen: boolean): void => {
    if (isOpen) log.error({ registry }, 'registry is down');
    else log.info({ registry }, 'registry is back');
  };
  const authorizer = createAuthorizer(deps, options, transport);
  const client = createClient({ registry, origin, dispatcher: transport, authorizer, via, onBreaker });
  return { registry: createRegistry(client), transport };
}
