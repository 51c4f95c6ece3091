// What a client's Accept header allows.
import { describe, expect, it } from 'vitest';
import { ACCEPT_ALL, MANIFEST } from '../../src/oci/media-types.ts';
import { accepts } from '../../src/proxy/accept.ts';

const { dockerList, dockerSchema1, dockerSchema1Signed, dockerSchema2, ociIndex, ociManifest } = MANIFEST;

describe('accepts', () => {
  it.each<[string | undefined, string, boolean]>([
    [undefined, ociIndex, true],
    ['', ociIndex, true],
    ['  ', ociIndex, true],
    ['*/*', ociIndex, true],
    ['application/*', ociIndex, true],
    ['text/html, */*;q=0.1', ociIndex, true],
    [ociIndex, ociIndex, true],
    [ociIndex.toUpperCase(), ociIndex, true],
    [`${ociManifest},${ociIndex}`, ociIndex, true],
    [`${ociManifest} , ${ociIndex};q=0.5`, ociIndex, true],
    [ociIndex, `${ociIndex}; charset=utf-8`, true],
    [ociManifest, ociIndex, false],
    [dockerSchema2, dockerList, false],
    ['application/json', dockerSchema2, false],
    ['text/*', ociIndex, false],
    [';,;', ociIndex, false],
    [dockerSchema1, dockerSchema1Signed, true],
    [dockerSchema1Signed, dockerSchema1, true],
    [dockerSchema2, dockerSchema1Signed, false],
    [`${ociIndex};q=0`, ociIndex, false],
    [`${ociIndex}; q=0.000, */*`, ociIndex, false],
    [`${ociIndex};q=0.001`, ociIndex, true],
    [`*/*, ${ociIndex};q=0`, ociManifest, true],
    ['*/*;q=0', ociManifest, false],
    ['application/*;q=0, */*', ociManifest, false],
  ])('%j takes %s: %s', (accept, mediaType, expected) => {
    expect(accepts(accept, mediaType)).toBe(expected);
  });

  it('takes every kind of manifest by the set that registries are asked with', () => {
    expect(Object.values(MANIFEST).filter((type) => !accepts(ACCEPT_ALL, type))).toEqual([]);
  });
});
