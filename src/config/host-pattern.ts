// Patterns of hosts, with or without a port.
import { hostAndPort } from './address.ts';
import { commaSeparated } from './value.ts';
import { type Parser, WrongValue } from './variable.ts';

/** One pattern: a host in lower case, an address without brackets, or `*.` and a domain; any port where none is given. */
export interface HostPattern {
  readonly host: string;
  readonly port: number | undefined;
}

/** Patterns separated by commas, in the form that {@link matchesHost} takes. */
export const hostPatterns: Parser<HostPattern[]> = {
  allowed:
    'hosts with or without a port separated by commas, such as minio.example.com:9000, *.example.com or 127.0.0.1',
  parse: (text) => commaSeparated(text).map(patternOf),
};

function patternOf(text: string): HostPattern {
  if (text.includes('://')) throw new WrongValue('is a URL, not a host', text);
  const [, star = '', rest = ''] = /^(\*\.)?(.*)$/s.exec(text) ?? [];
  const { host, port } = parsed(rest, text);
  // As a URL has it: an address there has one form only.
  const name = URL.parse(`http://${host.includes(':') ? `[${host}]` : host}`)?.hostname;
  if (!name) throw new WrongValue('has no valid host', text);
  if (star !== '' && /^[\d.]+$|^\[/.test(name)) throw new WrongValue('has a star before an address', text);
  return { host: star + plain(name), port };
}

/** As `hostAndPort`, but what is wrong is told of this one pattern. */
function parsed(rest: string, text: string): HostPattern {
  try {
    return hostAndPort(rest);
  } catch (error) {
    throw error instanceof WrongValue ? new WrongValue(error.message, text) : error;
  }
}

function plain(host: string): string {
  return host
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** Whether a host, a name or an address without brackets in lower case, is named at this port; `*.` takes what is below. */
export function matchesHost(patterns: readonly HostPattern[], host: string, port: number): boolean {
  return patterns.some((pattern) => {
    if (pattern.port !== undefined && pattern.port !== port) return false;
    return pattern.host.startsWith('*.') ? host.endsWith(pattern.host.slice(1)) : host === pattern.host;
  });
}
