import { describe, expect, it } from 'vitest';
import { essence, isIndex, isManifestType, isSchema1, MANIFEST } from '../../src/oci/media-types.ts';

const { dockerList, dockerSchema1, dockerSchema1Signed, dockerSchema2, ociIndex, ociManifest } = MANIFEST;

describe('media types', () => {
  it('are told by their essence', () => {
    expect(essence(' Application/JSON ; charset=utf-8')).toBe('application/json');
    expect([ociIndex, dockerList, ociManifest, 'x/y'].map(isIndex)).toEqual([true, true, false, false]);
    expect([dockerSchema1, dockerSchema1Signed, dockerSchema2].map(isSchema1)).toEqual([true, true, false]);
    expect([`${ociManifest};x=y`, 'application/vnd.oci.image.layer.v1.tar', ''].map(isManifestType)).toEqual([
      true,
      false,
      false,
    ]);
  });
});
