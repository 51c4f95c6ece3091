// Parsers of addresses: where to listen, which registries to ask, whom to trust.
import { BlockList, isIP, isIPv6 } from 'node:net';
import { commaSeparated } from './value.ts';
import { type ListenAddress, type Parser, WrongValue } from './variable.ts';

/** `host:port`, `[::1]:port`, or `:port` for all addresses (`::`, which takes IPv4 as well). */
export const listenAddress: Parser<ListenAddress> = {
  allowed: 'host:port, [IPv6 address]:port, or :port for all addresses',
  parse(text) {
    const { host, port } = hostAndPort(text);
    if (port === undefined) throw new WrongValue('has no port');
    return { host: host === '' ? '::' : host, port };
  },
};

/** Whether only this machine reaches an address: `localhost`, 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  const ipv4 = host.replace(/^::ffff:/i, '');
  return host === 'localhost' || host === '::1' || (isIP(ipv4) === 4 && ipv4.startsWith('127.'));
}

const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
] as const) {
  PRIVATE.addSubnet(network, prefix, 'ipv4');
}
PRIVATE.addSubnet('fc00::', 7, 'ipv6');
PRIVATE.addSubnet('fe80::', 10, 'ipv6');

/** Whether a URL's host is of this machine or of a private network: such an address, or a name without a dot. */
export function isNear({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (isLoopback(host)) return true;
  const family = isIP(host);
  if (family === 0) return !host.includes('.');
  return PRIVATE.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/** An address as it is written in a URL: IPv6 in brackets. */
export function formatAddress({ host, port }: ListenAddress): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** `host` or `host:port` as it stands before the repository in an image's name. */
export const registryHost: Parser<string> = {
  allowed: 'a host name with or without a port, such as registry.example.com:5050',
  parse(text) {
    if (text.includes('://')) throw new WrongValue('is a URL, not a host');
    if (hostAndPort(text).host === '') throw new WrongValue('has no host');
    return text;
  },
};

/** The root of a registry as a URL; a trailing `/` is fine, anything that would be dropped silently is refused. */
export const registryUrl: Parser<URL> = {
  allowed: 'an http or https URL without path, query and credentials, such as https://registry.example.com:5050',
  parse(text) {
    const url = webUrl(text);
    if (url.pathname !== '/') throw new WrongValue('has a path');
    if (text.includes('?')) throw new WrongValue('has a query');
    return url;
  },
};

/** The token realm exactly as it was given, since it must be the one that the local registry sends. */
export const realmUrl: Parser<string> = {
  allowed: 'an absolute http or https URL without credentials, such as https://gitlab.example.com/jwt/auth',
  parse(text) {
    webUrl(text);
    if (!/^[\x21-\x7e]+$/.test(text) || /["\\]/.test(text)) throw new WrongValue('cannot stand in a challenge');
    return text;
  },
};

/** Names and networks whose `X-Forwarded-*` are believed, as Fastify's `trustProxy` takes them. */
export const trustedProxies: Parser<string[]> = {
  allowed: 'loopback, uniquelocal, IP addresses and networks such as 10.0.0.0/8, separated by commas',
  parse(text) {
    const proxies = commaSeparated(text);
    for (const proxy of proxies) {
      if (proxy !== 'loopback' && proxy !== 'uniquelocal' && !isNetwork(proxy)) {
        throw new WrongValue('is no address or network', proxy);
      }
    }
    return proxies;
  },
};

function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return false;
  // A prefix of 0 would trust everyone, and is refused by Fastify too.
  return prefix === undefined || (Number(prefix) >= 1 && Number(prefix) <= (family === 4 ? 32 : 128));
}

/** Splits `host`, `host:port` or `[IPv6 address]:port`; the address comes without brackets. @throws WrongValue */
export function hostAndPort(text: string): { host: string; port: number | undefined } {
  if (/^\d+$/.test(text)) throw new WrongValue('is only a number');
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) throw new WrongValue(isIPv6(text) ? 'lacks brackets around IPv6' : 'is not host:port');
  const [, bracketed, plain = '', digits] = match;
  if (bracketed !== undefined && !isIPv6(bracketed)) throw new WrongValue('has no IPv6 address in its brackets');
  if (bracketed === undefined && plain !== '' && !isHost(plain)) throw new WrongValue('has no valid host');
  if (Number(digits ?? 0) > 65_535) throw new WrongValue('has a port over 65535');
  return { host: bracketed ?? plain, port: digits === undefined ? undefined : Number(digits) };
}

function isHost(text: string): boolean {
  // Only digits and dots is meant as an IPv4 address, and must be one.
  if (/^[\d.]+$/.test(text)) return isIP(text) === 4;
  return text.length <= 253 && /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*\.?$/i.test(text);
}

function webUrl(text: string): URL {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) throw new WrongValue('has no scheme');
  if (!/^https?:/i.test(text)) throw new WrongValue('is neither http nor https');
  // The URL parser drops tabs and line ends, and skips slashes before a host.
  const url = /[\s\\]|:\/\/\//.test(text) ? null : URL.parse(text);
  if (url === null) throw new WrongValue('is not a URL');
  if (url.username !== '' || url.password !== '') throw new WrongValue('holds credentials');
  if (text.includes('#')) throw new WrongValue('has a fragment');
  return url;
}
