// Parsers of paths to PEM files; each reads the file once, to refuse it at the start and not at the first pull.
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Effects, type Parser, WrongValue } from './variable.ts';
import { systemReason } from './system-reason.ts';

/** The absolute path of a private key that can sign registry tokens (PKCS#1, PKCS#8 or SEC1). */
export const privateKeyFile: Parser<string> = {
  allowed: 'a file with an unencrypted PEM private key, RSA of 2048 bits or more, or EC P-256, P-384 or P-521',
  parse(text, effects) {
    const { path, blocks } = readPem(text, effects);
    const own = blocks.find(({ label }) => label.endsWith('PRIVATE KEY'));
    if (own === undefined) throw new WrongValue(`holds ${found(blocks)} private key`);
    if (isEncrypted(own)) throw new WrongValue('holds an encrypted private key');
    if (own.label === 'OPENSSH PRIVATE KEY') throw new WrongValue('holds a private key in the format of OpenSSH');
    const problem = keyProblem(readKey(() => createPrivateKey(own.text), own));
    if (problem !== undefined) throw new WrongValue(`holds ${problem}`);
    return path;
  },
};

/** The absolute path of PEM certificates or public keys: what a registry calls `rootcertbundle`. */
export const certificatesFile: Parser<string> = {
  allowed: 'a file with PEM certificates or public keys',
  parse(text, effects) {
    const { path, blocks } = readPem(text, effects);
    const usable = blocks.filter(({ label }) => label === CERTIFICATE || PUBLIC_KEYS.has(label));
    if (usable.length === 0) throw new WrongValue(`holds ${found(blocks)} certificate or public key`);
    for (const block of usable) {
      const problem = keyProblem(readKey(() => publicHalf(block), block));
      if (problem !== undefined) throw new WrongValue(`holds ${named(block.label)} with ${problem}`);
    }
    return path;
  },
};

/** The absolute path of PEM certificates of authorities. */
export const authoritiesFile: Parser<string> = {
  allowed: 'a file with PEM certificates',
  parse(text, effects) {
    const { path, blocks } = readPem(text, effects);
    const authorities = blocks.filter(({ label }) => label === CERTIFICATE);
    if (authorities.length === 0) throw new WrongValue(`holds ${found(blocks)} certificate`);
    for (const block of authorities) readKey(() => publicHalf(block), block);
    return path;
  },
};

/** Whether one of a file's certificates is for a private key, both given by the paths of files that were accepted. */
export function holdsCertificateOf(keyFile: string, certFile: string): boolean {
  const own = spki(createPublicKey(readFileSync(keyFile)));
  const certificates = pemBlocks(readFileSync(certFile, 'latin1')).filter(({ label }) => label === CERTIFICATE);
  return certificates.some((block) => spki(publicHalf(block)).equals(own));
}

interface PemBlock {
  readonly label: string;
  readonly text: string;
}

const CERTIFICATE = 'CERTIFICATE';
const PUBLIC_KEYS = new Set(['PUBLIC KEY', 'RSA PUBLIC KEY']);
const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

function readPem(text: string, { cwd }: Effects): { path: string; blocks: PemBlock[] } {
  if (text.includes('-----BEGIN')) throw new WrongValue('is not a path');
  const path = resolve(cwd(), text);
  let content: string;
  try {
    content = readFileSync(path, 'latin1');
  } catch (cause) {
    throw new WrongValue(`cannot be read (${systemReason(cause)})`, undefined, { cause });
  }
  return { path, blocks: pemBlocks(content) };
}

function pemBlocks(content: string): PemBlock[] {
  const blocks = content.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----/gs);
  return Array.from(blocks, ([text, label = '']) => ({ label, text }));
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

function readKey(read: () => KeyObject, { label }: PemBlock): KeyObject {
  try {
    return read();
  } catch (cause) {
    throw new WrongValue(`holds ${named(label)} that cannot be parsed`, undefined, { cause });
  }
}

function publicHalf({ label, text }: PemBlock): KeyObject {
  return label === CERTIFICATE ? new X509Certificate(text).publicKey : createPublicKey(text);
}

function keyProblem({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | undefined {
  if (type === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    return bits < 2048 ? `an RSA key of only ${bits} bits` : undefined;
  }
  if (type === 'ec') {
    const curve = details?.namedCurve ?? 'an unknown curve';
    return CURVES.has(curve) ? undefined : `an EC key on ${curve}`;
  }
  return `a key of type ${type}`;
}

function isEncrypted({ label, text }: PemBlock): boolean {
  return label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(text);
}

// `no PEM, thus no` or `a certificate, but no`: what goes before the thing that is missing.
function found(blocks: readonly PemBlock[]): string {
  if (blocks.length === 0) return 'no PEM, thus no';
  return `${[...new Set(blocks.map(({ label }) => named(label)))].join(' and ')}, but no`;
}

function named(label: string): string {
  const words = label.replace(/[A-Z]{2,}/g, (word) =>
    ['RSA', 'EC', 'DSA'].includes(word) ? word : word.toLowerCase(),
  );
  return `${/^([aeiou]|RSA)/i.test(words) ? 'an' : 'a'} ${words}`;
}
