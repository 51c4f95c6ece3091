// The key and its certificate: whether they belong together, are in force, and are kept from others.
import { compareKeyFiles } from '../auth/key-check.ts';
import type { Config } from '../config/config.ts';
import { failed, ok, skipped, warning, type Finding } from './finding.ts';
import type { Machine } from './machine.ts';

const BY_OTHERS = 0o007;

function checkCertificate({ keyFile = '', certFile = '', tokenKeyId }: Config, now: number): Finding {
  const { isOfKey, valid } = compareKeyFiles({ keyFile, certFile });
  if (!isOfKey)
    return failed(
      `GEO_CERT_FILE, ${certFile}, does not hold the public half of GEO_KEY_FILE: tokens that this key has signed are refused here`,
      "give the certificate of that key, the registries' rootcertbundle",
    );
  const isInForce = valid === undefined || (valid.from <= now && now < valid.to);
  if (isInForce) return ok('GEO_CERT_FILE holds the public half of GEO_KEY_FILE');
  const [state, date] = now < valid.from ? ['is not valid before', valid.from] : ['has expired on', valid.to];
  const message = `the certificate in GEO_CERT_FILE ${state} ${new Date(date).toISOString().slice(0, 10)}`;
  // Registries look at a certificate's dates where the token brings it along, and only there.
  if (tokenKeyId === 'x5c') return failed(message, 'renew it, or set GEO_TOKEN_KEY_ID to libtrust or rfc7638');
  return warning(message, 'renew it: it is accepted as long as tokens do not carry it (GEO_TOKEN_KEY_ID=x5c)');
}

/** @see Finding */
export async function checkKey(config: Config, machine: Machine): Promise<Finding> {
  const { keyFile, certFile } = config;
  if (keyFile === undefined) return skipped('GEO_KEY_FILE is not set, and not needed');
  const certificate =
    certFile === undefined
      ? ok("GEO_KEY_FILE can be read; clients' tokens are checked with its public half")
      : checkCertificate(config, machine.clock());
  if (certificate.verdict === 'failed') return certificate;
  const { mode } = await machine.stat(keyFile);
  if ((mode & BY_OTHERS) === 0) return certificate;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  return warning(
    `${keyFile} is open to every user of this machine (mode ${shown}), and with it every repository of every site`,
    `chmod o-rwx ${keyFile}`,
  );
}
