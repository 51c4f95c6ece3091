import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isForeign, parseDescriptor } from '../../src/oci/descriptor.ts';
import { algorithmOf, digestOf, hasherFor, hexOf, matches, parseDigest } from '../../src/oci/digest.ts';
import { parseReference, referenceText } from '../../src/oci/reference.ts';

const bytes = Buffer.from('hello');
const digest = digestOf(bytes);

describe('a digest', () => {
  it.each(['sha256', 'sha512'] as const)('names its own algorithm: %s', (algorithm) => {
    const named = digestOf(bytes, algorithm);
    expect(named).toBe(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
    expect([algorithmOf(named), hexOf(named)]).toEqual(named.split(':'));
    expect(matches(named, hasherFor(named).update(bytes))).toBe(true);
    expect(matches(named, hasherFor(named).update('other'))).toBe(false);
  });

  it.each([undefined, null, 1, '', 'sha256:', digest.toUpperCase(), `${digest} `, `${digest}\n`, digest.slice(1)])(
    'is not %j',
    (value) => {
      expect(parseDigest(value)).toBeUndefined();
    },
  );
});

describe('a reference', () => {
  it.each([digest, 'latest', '_x', 'A.b-c_d'])('%s is read and written alike', (text) => {
    expect(referenceText(parseReference(text)!)).toBe(text);
  });

  it.each(['', '-x', '.x', 'a/b', 'a b', 'sha256:abc', 'x'.repeat(129), 'é'])('%j is none', (text) => {
    expect(parseReference(text)).toBeUndefined();
  });
});

describe('a descriptor', () => {
  it.each([
    ['of a negative size', -1],
    ['of a broken size', 1.5],
    ['of a size as text', '5'],
    ['of a size beyond counting', 1e300],
  ])('%s has none', (_what, size) => {
    expect(parseDescriptor({ mediaType: 'a/b', digest, size })).toEqual({ mediaType: 'a/b', digest });
  });

  it.each([
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', ['https://example.com'], true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', ['https://example.com'], true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', [], false],
    ['application/vnd.oci.image.layer.v1.tar+gzip', ['https://example.com'], false],
  ])('of %s with the URLs %j is foreign: %s', (mediaType, urls, expected) => {
    expect(isForeign(parseDescriptor({ mediaType, digest, size: 1, urls })!)).toBe(expected);
  });
});
