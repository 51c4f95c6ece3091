// Which addresses a registry's redirects and challenges may lead to: who controls these must not be able to read through us
// what only this machine can reach.
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Kinds of addresses that are forbidden, unless the registry itself is at one of the same kind. */
type SpecialKind = 'loopback' | 'link-local' | 'metadata service' | 'unspecified' | 'multicast';

/** What the operator allows, and the ports of this process. */
export interface AddressRuleOptions {
  /** Whether the operator allows a host (a name, or an address without brackets) at a port. */
  readonly isAllowed?: (host: string, port: number) => boolean;
  /** The ports that this process listens on: they are forbidden at all addresses of this machine. */
  readonly ownPorts?: ReadonlySet<number>;
}

/** The rule for one registry. */
export interface AddressRule {
  /**
   * Why a connection to a host is forbidden; undefined where it is allowed. `address` is what a name was resolved to;
   * without it only `localhost` and addresses (as in `URL.hostname`) can be checked.
   */
  refusal(host: string, port: number, address?: string): string | undefined;
  /** Notes the address at which the registry itself was reached. */
  reachedAt(address: string): void;
}

/** A connection that the rule forbids. */
export class AddressRefused extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'AddressRefused';
  }
}

// The order counts: `::1` is in `::/96` too. BlockList handles IPv4 addresses in IPv6 form (`::ffff:127.0.0.1`);
// `64:ff9b::/96` are those of NAT64 (RFC 6052).
const NETWORKS: readonly (readonly [SpecialKind, readonly string[]])[] = [
  ['loopback', ['127.0.0.0/8', '::1/128', '64:ff9b::7f00:0/104']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10', '64:ff9b::a9fe:0/112']],
  // Of clouds, where they are not link-local: AWS by IPv6, Azure, Alibaba.
  ['metadata service', ['fd00:ec2::254/128', '168.63.129.16/32', '100.100.100.200/32']],
  ['unspecified', ['0.0.0.0/8', '::/96']],
  ['multicast', ['224.0.0.0/4', '255.255.255.255/32', 'ff00::/8']],
];

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix = ''] = network.split('/');
    list.addSubnet(address, Number(prefix), familyOf(address));
  }
  return list;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}

const KINDS = NETWORKS.map(([kind, networks]) => ({ kind, list: listOf(networks) }));

/** The kind of an IP address; undefined for all others, private networks among them. */
export function specialKind(address: string): SpecialKind | undefined {
  const family = familyOf(address);
  return KINDS.find(({ list }) => list.check(address, family))?.kind;
}

function isOfThisMachine(address: string): boolean {
  const kind = specialKind(address);
  if (kind === 'loopback' || kind === 'unspecified') return true;
  const own = new BlockList();
  for (const entry of Object.values(networkInterfaces()).flat()) {
    if (entry) own.addAddress(entry.address, familyOf(entry.address));
  }
  return own.check(address, familyOf(address));
}

/** A host for comparison: without brackets and trailing dot, in lower case. */
function plainHost(host: string): string {
  return host
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** The address of a host that needs no resolution: RFC 6761 section 6.3 makes `localhost` and names below it loopback. */
function addressOf(host: string): string | undefined {
  if (isIP(host) !== 0) return host;
  return /(?:^|\.)localhost$/.test(host) ? '127.0.0.1' : undefined;
}

/** The rule for the registry at `home`. */
export function createAddressRule(home: URL, options: AddressRuleOptions = {}): AddressRule {
  const { isAllowed = () => false, ownPorts = new Set() } = options;
  const literal = addressOf(plainHost(home.hostname));
  let homeKind = literal === undefined ? undefined : specialKind(literal);

  return {
    refusal(given, port, resolved) {
      const host = plainHost(given);
      const address = resolved ?? addressOf(host);
      if (address === undefined) return undefined;
      const what = host === address ? `${given}:${port}` : `${given}:${port} (${address})`;
      if (ownPorts.has(port) && isOfThisMachine(address)) return `${what} is a listener of this proxy`;
      const kind = specialKind(address);
      if (kind === undefined || kind === homeKind || isAllowed(host, port) || isAllowed(address, port))
        return undefined;
      return `${what} is a ${kind} address, and not allowed by GEO_REDIRECT_HOSTS`;
    },
    reachedAt(address) {
      homeKind = specialKind(address);
    },
  };
}
