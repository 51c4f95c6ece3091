import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inspectConfig } from '../../src/config/config.ts';
import { environment, problems, temporaryDirectory, temporaryFile } from './environment.ts';

const KEYS = 'a file with an unencrypted PEM private key, RSA of 2048 bits or more, or EC P-256, P-384 or P-521';
const CERTIFICATES = 'a file with PEM certificates or public keys';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicKey = pem(rsa.publicKey, 'spki');
const certificateKey = pem(rsa.privateKey, 'pkcs1');
const certificate = selfSigned(certificateKey);
const damaged = certificate.replace(/\n.{60}/, '\n');

test.each([
  ['PKCS#1 RSA', pem(rsa.privateKey, 'pkcs1')],
  ['PKCS#8 RSA', pem(rsa.privateKey, 'pkcs8')],
  ['SEC1 EC P-256', pem(ec.privateKey, 'sec1')],
  ['PKCS#8 EC P-256', pem(ec.privateKey, 'pkcs8')],
  ['EC P-384', pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, 'pkcs8')],
  ['EC P-521', pem(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey, 'sec1')],
  ['behind a certificate', certificate + pem(rsa.privateKey, 'pkcs8')],
])('a private key is accepted: %s', (_, content) => {
  const path = temporaryFile(content);
  expect(inspectConfig({ ...environment(), GEO_KEY_FILE: path }).config.keyFile).toBe(path);
});

const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
const encryption = { cipher: 'aes-256-cbc', passphrase: 'x' };
const otherLabel = (label: string): string => publicKey.replaceAll('PUBLIC KEY', label);

test.each([
  ['an empty file', '', 'holds no PEM, thus no private key'],
  ['garbage', '\u0000\u0001\u00ff-----BEGIN', 'holds no PEM, thus no private key'],
  ['a certificate', certificate, 'holds a certificate, but no private key'],
  ['a public key', publicKey, 'holds a public key, but no private key'],
  ['both', publicKey + certificate, 'holds a public key and a certificate, but no private key'],
  ['PKCS#1 public', pem(rsa.publicKey, 'pkcs1'), 'holds an RSA public key, but no private key'],
  ['encrypted PKCS#8', pem(rsa.privateKey, 'pkcs8', encryption), 'holds an encrypted private key'],
  ['encrypted PKCS#1', pem(rsa.privateKey, 'pkcs1', encryption), 'holds an encrypted private key'],
  ['damaged', otherLabel('RSA PRIVATE KEY'), 'holds an RSA private key that cannot be parsed'],
  ['OpenSSH', otherLabel('OPENSSH PRIVATE KEY'), 'holds a private key in the format of OpenSSH'],
  ['short RSA', privatePem(generateKeyPairSync('rsa', { modulusLength: 1024 })), 'holds an RSA key of only 1024 bits'],
  ['another curve', privatePem(secp256k1), 'holds an EC key on secp256k1'],
  ['Ed25519', privatePem(generateKeyPairSync('ed25519')), 'holds a key of type ed25519'],
  ['RSA-PSS', privatePem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 })), 'holds a key of type rsa-pss'],
])('a key file is refused: %s', (_, content, problem) => {
  const path = temporaryFile(content);
  expect(problems({ ...environment(), GEO_KEY_FILE: path })).toEqual([
    `GEO_KEY_FILE: "${path}" ${problem}; allowed: ${KEYS}`,
  ]);
});

test('a key file that does not exist is refused', () => {
  expect(problems({ ...environment(), GEO_KEY_FILE: '/nowhere/key' })).toEqual([
    `GEO_KEY_FILE: "/nowhere/key" cannot be read (no such file or directory); allowed: ${KEYS}`,
  ]);
});

test('a key file that is a directory is refused', () => {
  const path = temporaryDirectory();
  expect(problems({ ...environment(), GEO_KEY_FILE: path })).toEqual([
    `GEO_KEY_FILE: "${path}" cannot be read (illegal operation on a directory); allowed: ${KEYS}`,
  ]);
});

test.each([
  ['a certificate', certificate],
  ['two certificates', certificate + certificate],
  ['a public key', publicKey],
  ['a PKCS#1 public key and a certificate', pem(rsa.publicKey, 'pkcs1') + certificate],
])('a certificate file is accepted: %s', (_, content) => {
  const path = temporaryFile(content);
  expect(inspectConfig({ ...environment(), GEO_CERT_FILE: path }).config.certFile).toBe(path);
});

test.each([
  ['garbage', 'garbage', 'holds no PEM, thus no certificate or public key'],
  ['a private key', pem(ec.privateKey, 'sec1'), 'holds an EC private key, but no certificate or public key'],
  ['a damaged one', certificate + damaged, 'holds a certificate that cannot be parsed'],
  ['another curve', pem(secp256k1.publicKey, 'spki'), 'holds a public key with an EC key on secp256k1'],
])('a certificate file is refused: %s', (_, content, problem) => {
  const path = temporaryFile(content);
  expect(problems({ ...environment(), GEO_CERT_FILE: path })).toEqual([
    `GEO_CERT_FILE: "${path}" ${problem}; allowed: ${CERTIFICATES}`,
  ]);
});

test.each([
  ['only a public key', publicKey],
  ["another key's certificate", certificate],
])('x5c needs a certificate of the key, not %s', (_, content) => {
  const path = temporaryFile(content);
  expect(problems({ ...environment(), GEO_CERT_FILE: path, GEO_TOKEN_KEY_ID: 'x5c' })).toEqual([
    `GEO_CERT_FILE: "${path}" holds no certificate of GEO_KEY_FILE; allowed with GEO_TOKEN_KEY_ID x5c: a file with that key's certificate`,
  ]);
});

test('x5c is accepted with a certificate of the key', () => {
  const changes = {
    GEO_KEY_FILE: temporaryFile(certificateKey),
    GEO_CERT_FILE: temporaryFile(publicKey + certificate),
  };
  const { config } = inspectConfig({ ...environment(), ...changes, GEO_TOKEN_KEY_ID: 'x5c' });
  expect(config.tokenKeyId).toBe('x5c');
});

test('authorities are accepted', () => {
  const path = temporaryFile(certificate + certificate);
  expect(inspectConfig({ ...environment(), GEO_CA_FILE: path }).config.caFile).toBe(path);
});

test.each([
  ['garbage', 'garbage', 'holds no PEM, thus no certificate'],
  ['a public key', publicKey, 'holds a public key, but no certificate'],
  ['a damaged one', damaged, 'holds a certificate that cannot be parsed'],
])('authorities are refused: %s', (_, content, problem) => {
  const path = temporaryFile(content);
  expect(problems({ ...environment(), GEO_CA_FILE: path })).toEqual([
    `GEO_CA_FILE: "${path}" ${problem}; allowed: a file with PEM certificates`,
  ]);
});

function pem(key: KeyObject, type: 'pkcs1' | 'pkcs8' | 'sec1' | 'spki', encrypted = {}): string {
  return String(key.export({ type, format: 'pem', ...encrypted } as Parameters<KeyObject['export']>[0]));
}

function privatePem({ privateKey }: { privateKey: KeyObject }): string {
  return pem(privateKey, 'pkcs8');
}

function selfSigned(key: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'geo-config-'));
  try {
    writeFileSync(join(directory, 'key'), key);
    const request = ['req', '-x509', '-new', '-key', 'key', '-subj', '/CN=registry'];
    return execFileSync('openssl', request, { cwd: directory, encoding: 'latin1' });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
