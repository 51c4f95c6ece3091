// Keys and certificates for the tests, made by openssl as operators make them.
import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory of a test, removed by `using`. */
export function scratch(): { path(name: string): string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), 'geo-auth-'));
  return {
    path: (name) => join(directory, name),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Runs openssl and gives its output. */
export function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A new private key as PEM, in one of the formats in which such files come. */
export function privatePem(
  kind: 'rsa' | 'P-256' | 'P-384' | 'P-521',
  type: 'pkcs1' | 'pkcs8' | 'sec1' = 'pkcs8',
): string {
  const { privateKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: kind });
  return privateKey.export({ type, format: 'pem' } as { type: 'pkcs8'; format: 'pem' });
}

/** The same key pair as objects. */
export function privateKeyOf(pem: string): KeyObject {
  return createPrivateKey(pem);
}

/** A self-signed certificate of a private key's PEM file. */
export function certificateOf(keyPath: string, subject = 'registry'): string {
  return openssl('req', '-x509', '-new', '-key', keyPath, '-days', '30', '-subj', `/CN=${subject}`);
}

/** A chain of three certificates: [leaf, intermediate, root], and the leaf's private key. */
export function certificateChainIn(directory: { path(name: string): string }): { chain: string[]; key: string } {
  const at = (name: string): string => directory.path(name);
  const issue = (name: string, issuer: string): void => {
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', at(`${name}.key`));
    openssl('req', '-new', '-key', at(`${name}.key`), '-subj', `/CN=${name}`, '-out', at(`${name}.csr`));
    const signer =
      name === issuer ? ['-signkey', at(`${name}.key`)] : ['-CA', at(`${issuer}.crt`), '-CAkey', at(`${issuer}.key`)];
    const what = ['-set_serial', '1', '-days', '30', '-extfile', at('ca.ext'), '-out', at(`${name}.crt`)];
    openssl('x509', '-req', '-in', at(`${name}.csr`), ...signer, ...what);
  };
  writeFileSync(at('ca.ext'), 'basicConstraints=critical,CA:TRUE\n');
  issue('root', 'root');
  issue('intermediate', 'root');
  issue('leaf', 'intermediate');
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  return { chain: ['leaf.crt', 'intermediate.crt', 'root.crt'].map(read), key: read('leaf.key') };
}
