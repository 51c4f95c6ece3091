import { createPublicKey, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { libtrustId, thumbprint } from '../../src/auth/key-id.ts';
import { algorithmsOf, certificateChain, readPrivateKey, readTrustedKeys } from '../../src/auth/keys.ts';
import { certificateChainIn, certificateOf, openssl, privateKeyOf, privatePem, scratch } from './pem.ts';

function publicKeyOf(pem: string): KeyObject {
  return createPublicKey(privateKeyOf(pem));
}

function publicPem(pem: string, type: 'spki' | 'pkcs1' = 'spki'): string {
  return publicKeyOf(pem).export({ type, format: 'pem' } as { type: 'spki'; format: 'pem' }) as string;
}

describe('readPrivateKey', () => {
  it.each([
    ['rsa', 'pkcs1', ['RS256', 'RS384', 'RS512']],
    ['rsa', 'pkcs8', ['RS256', 'RS384', 'RS512']],
    ['P-256', 'sec1', ['ES256']],
    ['P-256', 'pkcs8', ['ES256']],
    ['P-384', 'sec1', ['ES384']],
    ['P-521', 'sec1', ['ES512']],
  ] as const)('takes %s as %s', (kind, type, algorithms) => {
    expect(algorithmsOf(readPrivateKey(privatePem(kind, type)))).toEqual(algorithms);
  });

  it('takes the key out of a file that begins with EC parameters', () => {
    expect(algorithmsOf(readPrivateKey(openssl('ecparam', '-genkey', '-name', 'prime256v1')))).toEqual(['ES256']);
  });

  it('takes CRLF line ends and text around the key', () => {
    const pem = `Bag Attributes: none\r\n${privatePem('rsa').replaceAll('\n', '\r\n')}`;
    expect(readPrivateKey(pem).type).toBe('private');
  });

  it.each([
    ['a public key', () => publicPem(privatePem('rsa')), 'no private key: holds public key'],
    ['no PEM', () => 'hello', 'no private key: not a PEM file'],
    ['an empty file', () => '', 'no private key: not a PEM file'],
    ['a broken key', () => privatePem('rsa').replace(/\n.{30}/, '\n'), 'the private key cannot be read'],
    ['an Ed25519 key', () => openssl('genpkey', '-algorithm', 'ed25519'), '(ed25519): RSA of 2048'],
    ['a short RSA key', () => openssl('genrsa', '1024'), '(rsa, 1024 bits): RSA of 2048'],
    ['a key of another curve', () => openssl('ecparam', '-genkey', '-noout', '-name', 'secp256k1'), '(ec, secp256k1)'],
    [
      'an encrypted PKCS#8 key',
      () => openssl('genpkey', '-algorithm', 'RSA', '-aes128', '-pass', 'pass:secret'),
      'the private key is encrypted',
    ],
    [
      'an encrypted PKCS#1 key',
      () => openssl('genrsa', '-traditional', '-aes128', '-passout', 'pass:secret', '2048'),
      'the private key is encrypted',
    ],
  ])('refuses %s', (_what, pem, message) => {
    expect(() => readPrivateKey(pem())).toThrow(message);
  });

  it('says nothing of what stands in a broken key', () => {
    const secret = 'U2VjcmV0U2VjcmV0';
    const pem = `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`;
    const error = (() => {
      try {
        return readPrivateKey(pem);
      } catch (thrown) {
        return thrown as Error;
      }
    })();
    expect(error).toBeInstanceOf(Error);
    expect(`${(error as Error).stack} ${String((error as Error).cause)}`).not.toContain(secret);
  });
});

describe('readTrustedKeys', () => {
  it('takes certificates and public keys of one file, in any order', () => {
    using directory = scratch();
    const [rsa, ec, bare] = [privatePem('rsa'), privatePem('P-384'), privatePem('rsa')];
    writeFileSync(directory.path('rsa'), rsa);
    writeFileSync(directory.path('ec'), ec);
    const bundle = [
      publicPem(bare, 'pkcs1'),
      certificateOf(directory.path('rsa')),
      'a comment',
      publicPem(ec),
      certificateOf(directory.path('ec')),
    ];
    const ids = readTrustedKeys(bundle.join('\n')).map(libtrustId);
    expect(ids.toSorted()).toEqual([rsa, ec, bare].map((pem) => libtrustId(publicKeyOf(pem))).toSorted());
  });

  it('does not take the public half of a private key that lies in the file', () => {
    expect(() => readTrustedKeys(privatePem('rsa'))).toThrow('no certificate and no public key');
  });

  it.each([
    ['a broken certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'certificate 1 cannot'],
    ['a broken public key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', 'public key 1 cannot'],
    ['nothing', '', 'no certificate and no public key'],
  ])('refuses %s', (_what, pem, message) => {
    expect(() => readTrustedKeys(pem)).toThrow(message);
  });
});

describe('certificateChain', () => {
  it("begins with the key's own certificate and goes on to its issuers, whatever the order in the file", () => {
    using directory = scratch();
    const { chain, key } = certificateChainIn(directory);
    writeFileSync(directory.path('other'), privatePem('rsa'));
    const file = [certificateOf(directory.path('other'), 'other'), ...chain.toReversed()].join('');
    const base64 = chain.map((pem) => pem.replace(/-----.*-----|\s/g, ''));
    expect(certificateChain(file, publicKeyOf(key))).toEqual(base64);
  });

  it("is empty where no certificate is the key's", () => {
    using directory = scratch();
    writeFileSync(directory.path('other'), privatePem('rsa'));
    expect(certificateChain(certificateOf(directory.path('other')), publicKeyOf(privatePem('rsa')))).toEqual([]);
  });
});

describe('key ids', () => {
  // The example of RFC 7638 section 3.1.
  const jwk = {
    kty: 'RSA',
    e: 'AQAB',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  };
  const key = createPublicKey({ key: jwk, format: 'jwk' });

  it('has the thumbprint of the RFC', async () => {
    expect(await thumbprint(key)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });

  it("has libtrust's form, the same for both halves", () => {
    const pem = privatePem('rsa');
    expect(libtrustId(publicKeyOf(pem))).toMatch(/^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$/);
    expect(libtrustId(privateKeyOf(pem))).toBe(libtrustId(publicKeyOf(pem)));
  });
});
