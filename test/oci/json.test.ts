// Reading JSON that others wrote.
import { expect, test } from 'vitest';
import { parseJson, TooComplex } from '../../src/oci/json.ts';
import { linksOf } from '../../src/oci/manifest.ts';
import { MANIFEST } from '../../src/oci/media-types.ts';

function parse(text: string, depth = 3, values = 10): unknown {
  return parseJson(Buffer.from(text), { depth, values });
}

test.each([
  ['{}', {}],
  [' [1, {"a": [2]}] ', [1, { a: [2] }]],
  ['"[[[[[[[[[["', '[[[[[[[[[['],
  [JSON.stringify(['"[[[[', '\\"{{{{', '\\']), ['"[[[[', '\\"{{{{', '\\']],
  [JSON.stringify(['ä,ö,ü,,,,,,,,,,,', '\u2028']), ['ä,ö,ü,,,,,,,,,,,', '\u2028']],
])('%s is read: what strings hold does not count', (text, expected) => {
  expect(parse(text)).toEqual(expected);
});

test.each(['', '{', '"', '"\\', '[1,]', '\\"[[[['])('%j is no JSON', (text) => {
  expect(() => parse(text)).toThrow(SyntaxError);
});

test.each(['[[[[', '{"a":{"b":{"c":{}}}}', `[${'1,'.repeat(11)}1]`, `[${'{},'.repeat(6)}{}]`])(
  '%s is more than is read',
  (text) => {
    expect(() => parse(text)).toThrow(TooComplex);
  },
);

test('a manifest of more values than are read points at nothing that is known, and says so', () => {
  const bytes = Buffer.from(JSON.stringify({ layers: Array.from({ length: 200_000 }, () => 0) }));
  expect(linksOf({ mediaType: MANIFEST.ociManifest, bytes })).toEqual({ blobs: [], manifests: [], isTooComplex: true });
});

test('a manifest of as many layers as are copied is read', () => {
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: `sha256:${'0'.repeat(64)}`, size: 1 };
  const bytes = Buffer.from(JSON.stringify({ layers: Array.from({ length: 10_000 }, () => layer) }));
  expect(linksOf({ mediaType: MANIFEST.ociManifest, bytes }).blobs).toHaveLength(10_000);
});
