// undici agents of one registry: verified TLS, and no connection to an address that the rule forbids.
import { lookup as systemLookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { rootCertificates } from 'node:tls';
import { Agent, buildConnector, EnvHttpProxyAgent, type Dispatcher } from 'undici';
import { createLru } from '../lib/lru.ts';
import { AddressRefused, type AddressRule } from './address-rule.ts';

/** Times in milliseconds; `connections` of each origin. */
export interface AgentOptions {
  readonly connections: number;
  readonly connectTimeout: number;
  /** How long a body may pause. */
  readonly bodyTimeout: number;
  /** A file of certificate authorities (PEM) beside the system's. */
  readonly caFile?: string | undefined;
  readonly useProxy?: boolean;
  /** Which addresses connections may go to; all without it. */
  readonly bounds?: Bounds;
  /** Resolves names; the system's by default. */
  readonly lookup?: LookupFunction;
}

/** The registry's own origin (`URL.origin`), which is always allowed, and the rule for all others. */
interface Bounds {
  readonly home: string;
  readonly rule: AddressRule;
}

const PROXY_VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'];
// About what one host's TLS session takes.
const CONNECTOR_BYTES = 16 * 1024;

/** The port of a URL, also where it is the protocol's default. */
export function portOf({ protocol, port }: Pick<URL, 'protocol' | 'port'>): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** The system's certificate authorities and those of a file; undefined without a file. @throws where it cannot be read. */
export function certificateAuthorities(caFile: string | undefined): string[] | undefined {
  return caFile === undefined ? undefined : [...rootCertificates, readFileSync(caFile, 'utf8')];
}

/** Notes on a socket's error how much it had read before: a request that failed on a reused socket may be repeated. */
function noteReuse(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...result) => {
      const socket = result[1];
      socket?.prependListener('error', (error: Error) => {
        Object.assign(error, { bytesReadBefore: socket.bytesRead });
      });
      callback(...result);
    });
  };
}

/** Checks the addresses of a name when it is connected to: they may have changed since it was resolved last. */
function checked(lookup: LookupFunction, { refusal }: AddressRule, host: string, port: number): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, found, family) => {
      const addresses = typeof found === 'string' ? [found] : (found ?? []).map(({ address }) => address);
      const reason = addresses.map((address) => refusal(host, port, address)).find(Boolean);
      callback(reason === undefined ? error : new AddressRefused(reason), found, family);
    });
  };
}

/** Connects to the registry without a check, and notes its address; to all other hosts as the rule allows. */
function bounded(
  { home, rule }: Bounds,
  build: (lookup: LookupFunction) => buildConnector.connector,
  lookup: LookupFunction,
): buildConnector.connector {
  const toHome = build(lookup);
  const elsewhere = createLru<string, buildConnector.connector>('connectors', { sizeOf: () => CONNECTOR_BYTES });
  return (options, callback) => {
    const { protocol, host, hostname, port } = options;
    const origin = `${protocol}//${host}`;
    if (origin === home) {
      toHome(options, (...result) => {
        const address = result[1]?.remoteAddress;
        if (address !== undefined) rule.reachedAt(address);
        callback(...result);
      });
      return;
    }
    const connect = elsewhere.get(origin) ?? build(checked(lookup, rule, hostname, portOf({ protocol, port })));
    elsewhere.set(origin, connect);
    connect(options, callback);
  };
}

/** @see AgentOptions */
export function createAgent(options: AgentOptions, ca: string[] | undefined): Dispatcher {
  const { bounds, connectTimeout: timeout, lookup = systemLookup as LookupFunction } = options;
  const tls = ca === undefined ? {} : { ca };
  const build = (resolve: LookupFunction): buildConnector.connector =>
    buildConnector({ ...tls, timeout, lookup: resolve });
  const common = {
    connections: options.connections,
    // Each request has its own limit: patience.ts.
    headersTimeout: 0,
    bodyTimeout: options.bodyTimeout,
    pipelining: 1,
    connect: noteReuse(bounds ? bounded(bounds, build, lookup) : build(lookup)),
  };
  // A proxy resolves names itself. Hosts of NO_PROXY are connected to as without one.
  const isProxied = options.useProxy && PROXY_VARIABLES.some((name) => process.env[name]);
  return isProxied ? new EnvHttpProxyAgent({ ...common, requestTls: tls }) : new Agent(common);
}
