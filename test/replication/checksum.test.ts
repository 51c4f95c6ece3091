// The checksum that GitLab compares, against values computed by hand (printf … | sha256sum).
import { expect, test } from 'vitest';
import { repositoryChecksum } from '../../src/replication/checksum.ts';
import { digestOf } from '../../src/oci/digest.ts';

const [one, two] = [digestOf(Buffer.from('one')), digestOf(Buffer.from('two'))];

test('name and digest of each tag in the order of names', () => {
  const rows = [
    { reference: 'v2', localDigest: two },
    { reference: 'latest', localDigest: one },
    { reference: 'V3', localDigest: one },
  ];
  expect(repositoryChecksum(rows)).toBe('c0fdd40f2590e7ae9b147a78f1a43ead4bb122c32dceb0754dd3360d1bc2ed09');
  expect(repositoryChecksum(rows.toReversed())).toBe(repositoryChecksum(rows));
});

test('what is no tag, and what is not here, does not count', () => {
  const rows = [
    { reference: 'latest', localDigest: one },
    { reference: two, localDigest: two },
    { reference: '*' },
    { reference: 'not-here' },
  ];
  expect(repositoryChecksum(rows)).toBe('5da3d8b2005b992828588d03aef1ef37b0f66f6acd89cff6f4f802d618b8a8d9');
});

test('no tags', () => {
  expect(repositoryChecksum([])).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});
