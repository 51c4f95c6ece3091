// What a variable's value depends on in others: why it is needed, refused, or warned of.
import { formatAddress, isLoopback, isNear } from './address.ts';
import { holdsCertificateOf } from './pem-file.ts';
import type { Known } from './variable.ts';

/** Both listeners on one address. */
export function sameListener({ listen, adminListen }: Known): string | undefined {
  if (listen === undefined || adminListen === undefined || listen.port === 0) return undefined;
  return formatAddress(listen) === formatAddress(adminListen)
    ? 'is GEO_LISTEN too; allowed: another address or port'
    : undefined;
}

/** Why the admin listener needs a token. */
export function adminIsReachable({ adminListen }: Known): string | undefined {
  if (adminListen === undefined || isLoopback(adminListen.host)) return undefined;
  return `GEO_ADMIN_LISTEN, ${formatAddress(adminListen)}, is not loopback`;
}

/** Both registries at one URL. */
export function sameRegistry({ primaryUrl, secondaryUrl }: Known): string | undefined {
  return primaryUrl !== undefined && primaryUrl.href === secondaryUrl?.href
    ? 'is GEO_PRIMARY_URL too; allowed: the URL of another registry'
    : undefined;
}

/** Why the private key is needed. */
export function keyIsNeeded(
  { primaryAuth, secondaryAuth, clientAuth }: Known,
  { GEO_CERT_FILE }: NodeJS.ProcessEnv,
): string | undefined {
  if (primaryAuth === 'key') return 'GEO_PRIMARY_AUTH is key';
  if (secondaryAuth === 'key') return 'GEO_SECONDARY_AUTH is key';
  return clientAuth === 'token' && !GEO_CERT_FILE ? 'GEO_CLIENT_AUTH is token without GEO_CERT_FILE' : undefined;
}

/** A file of certificates without the key's own, where tokens have to carry it. */
export function noCertificateOfKey({ tokenKeyId, keyFile, certFile }: Known): string | undefined {
  if (tokenKeyId !== 'x5c' || keyFile === undefined || certFile === undefined) return undefined;
  if (holdsCertificateOf(keyFile, certFile)) return undefined;
  return "holds no certificate of GEO_KEY_FILE; allowed with GEO_TOKEN_KEY_ID x5c: a file with that key's certificate";
}

/** A proxy that asks nobody for a token. */
export function openToAll({ clientAuth, listen }: Known): string | undefined {
  if (clientAuth !== 'none') return undefined;
  const where = listen === undefined ? 'GEO_LISTEN' : formatAddress(listen);
  return `none: WHOEVER REACHES ${where} CAN PULL EVERY REPOSITORY; for a trusted network only`;
}

/** Tokens for the primary that cross the network in the clear. */
export function plainPrimary({ primaryUrl, primaryAuth }: Known): string | undefined {
  if (primaryUrl?.protocol !== 'http:' || primaryAuth === 'none' || isNear(primaryUrl)) return undefined;
  return 'is not https: the tokens for the primary, and all that it sends, cross the network in the clear';
}

/** Passwords that cross the network in the clear. */
export function plainRealm({ tokenRealm }: Known): string | undefined {
  if (tokenRealm === undefined || !/^http:/i.test(tokenRealm) || isLoopback(new URL(tokenRealm).hostname))
    return undefined;
  return 'is not https: clients will send their passwords to it in the clear';
}
