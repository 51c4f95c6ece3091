// Whether both registries are reached, are registries, and are not this proxy itself.
import { formatAddress, isLoopback } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { failed, ok, skipped, type Finding } from './finding.ts';
import type { Look, Unreachable } from './look.ts';

/** One of the two registries, as the configuration has it. */
export interface Side {
  readonly name: 'primary' | 'secondary';
  readonly url: URL;
  readonly variable: 'GEO_PRIMARY_URL' | 'GEO_SECONDARY_URL';
  readonly authVariable: 'GEO_PRIMARY_AUTH' | 'GEO_SECONDARY_AUTH';
  readonly auth: Config['primaryAuth'];
}

/** RFC 5842 section 7.2; how this proxy ends a loop. */
const LOOP = 508;

const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'nothing listens there: is it running, and is the port right?'],
  [/ENOTFOUND|EAI_AGAIN/, 'the host name cannot be looked up: see the URL and the name server'],
  [/ALTNAME_INVALID/, 'its certificate is for another name: use a name that is in it'],
  [
    /SELF_SIGNED|UNABLE_TO|CERT_UNTRUSTED/,
    'its certificate is of an authority that is not trusted: its authority must be in the file of GEO_CA_FILE',
  ],
  [/CERT_HAS_EXPIRED|CERT_NOT_YET/, 'its certificate is not valid now: renew it, and look at the clock'],
  [/WRONG_VERSION_NUMBER|EPROTO|SSL/, 'it does not speak TLS there: http instead of https, or another port'],
  [
    /UND_ERR_SOCKET|ECONNRESET|other side closed/,
    'it closed the connection: https instead of http, or what stands between',
  ],
  [/no answer|TIMEOUT|ETIMEDOUT/, 'it does not answer in time: see the registry, the firewall and the way to it'],
  [/answered 50[234]/, 'what stands in front of it does not reach it: see there, and the registry'],
];

/** What to do where something cannot be reached for this reason. */
export function reachAdvice(reason: string): string {
  return ADVICE.find(([pattern]) => pattern.test(reason))?.[1] ?? 'see that it runs, and the way to it';
}

/** What to do where something else than a registry answers. */
export function noRegistryAdvice(name: string, { protocol }: URL): string {
  const tls = protocol === 'http:' ? ', and https instead of http if it speaks TLS there' : '';
  return `give the ${name} registry's own address, not that of GitLab or of a page${tls}`;
}

/** Whether a registry answers at a side's URL. */
export function checkReach({ name, url, variable }: Side, look: Look | Unreachable): Finding {
  if (look.kind === 'unreachable')
    return failed(`${url.origin} (${variable}) cannot be reached: ${look.reason}`, reachAdvice(look.reason));
  if (look.status === LOOP) return skipped(`${variable} leads back to this proxy, see loop`);
  if (!look.isRegistry)
    return failed(
      `what answers at ${url.origin} (${variable}) is no registry: ${look.status} for /v2/`,
      noRegistryAdvice(name, url),
    );
  return ok(`a registry answers at ${url.origin}${look.isGitlab ? ": GitLab's" : ''}`);
}

function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** Whether a URL is the proxy's own listener, as far as addresses tell. */
function isListener(url: URL, { host, port }: Config['listen']): boolean {
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const isEverywhere = host === '0.0.0.0' || host === '::';
  const isHere = hostname === host || (isLoopback(hostname) && (isEverywhere || isLoopback(host)));
  return isHere && portOf(url) === port;
}

/**
 * Whether a registry's URL leads back to the proxy: by the address, or since the request, which carries our `Via`, was
 * ended by the running server as a loop.
 */
export function checkLoop(
  sides: readonly (readonly [Side, Look | Unreachable])[],
  { listen }: Pick<Config, 'listen'>,
  isServed: boolean,
): Finding {
  for (const [{ name, url, variable }, look] of sides) {
    const isOurs = isListener(url, listen);
    if (!isOurs && !(look.kind === 'look' && look.status === LOOP)) continue;
    const how = isOurs ? `is GEO_LISTEN, ${formatAddress(listen)}` : 'leads back to this proxy (508)';
    return failed(
      `${variable}, ${url.origin}, ${how}`,
      `give the ${name} registry's own address, not the hostname that leads to the proxy; two proxies in a row need different GEO_SITE_NAMEs`,
    );
  }
  const seen = isServed ? '' : '; no server answers at GEO_LISTEN, so that only addresses were compared';
  return ok(`neither registry's URL leads back to this proxy${seen}`);
}
