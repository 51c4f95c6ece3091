import { describe, expect, it } from 'vitest';
import { OciError } from '../../src/oci/error.ts';
import { parsePath, repositoryOf, type DistributionPath } from '../../src/oci/path.ts';
import { referenceText } from '../../src/oci/reference.ts';

const sha256 = `sha256:${'0123456789abcdef'.repeat(4)}` as const;
const sha512 = `sha512:${'0123456789abcdef'.repeat(8)}` as const;
const tag128 = `T${'x.-_'.repeat(31)}abc`;
const name255 = `${'a/'.repeat(127)}b`;

/** Code and status of a refusal. */
function refusal(url: string): string {
  try {
    return `taken as ${JSON.stringify(parsePath(url))}`;
  } catch (error) {
    expect(error).toBeInstanceOf(OciError);
    return `${(error as OciError).status} ${(error as OciError).code}`;
  }
}

describe('parsePath takes', () => {
  it.each<[string, DistributionPath]>([
    ['/v2', { kind: 'base' }],
    ['/v2/', { kind: 'base' }],
    ['/v2/?account=x', { kind: 'base' }],
    ['/v2/_catalog', { kind: 'catalog' }],
    ['/v2/_catalog?n=5&last=a%2Fb', { kind: 'catalog' }],
    ['/v2/a/tags/list', { kind: 'tags', name: 'a' }],
    ['/v2/a/b/tags/list?n=1', { kind: 'tags', name: 'a/b' }],
    ['/v2/a/manifests/latest', { kind: 'manifest', name: 'a', reference: { tag: 'latest' } }],
    ['/v2/a/b/c/manifests/v1.0-rc_1', { kind: 'manifest', name: 'a/b/c', reference: { tag: 'v1.0-rc_1' } }],
    [`/v2/a/manifests/${sha256}`, { kind: 'manifest', name: 'a', reference: { digest: sha256 } }],
    [`/v2/a/manifests/${sha512}`, { kind: 'manifest', name: 'a', reference: { digest: sha512 } }],
    [`/v2/a/manifests/${sha256.replace(':', '%3A')}`, { kind: 'manifest', name: 'a', reference: { digest: sha256 } }],
    [
      `/v2/a/manifests/${sha256.replace(':', '-')}`,
      { kind: 'manifest', name: 'a', reference: { tag: sha256.replace(':', '-') } },
    ],
    [`/v2/a/blobs/${sha256}?ns=example.com`, { kind: 'blob', name: 'a', digest: sha256 }],
    [`/v2/a/blobs/${sha512}`, { kind: 'blob', name: 'a', digest: sha512 }],
    [`/v2/a/referrers/${sha256}?artifactType=x`, { kind: 'referrers', name: 'a', digest: sha256 }],
    [`/v2/a/manifests/${tag128}`, { kind: 'manifest', name: 'a', reference: { tag: tag128 } }],
    [`/v2/${name255}/tags/list`, { kind: 'tags', name: name255 }],
    ['/v2/a%2Fb/manifests/x', { kind: 'manifest', name: 'a/b', reference: { tag: 'x' } }],
    ['/v2/a%2fb%2Fmanifests%2Fx', { kind: 'manifest', name: 'a/b', reference: { tag: 'x' } }],
    ['/v2/%61/manifests/x', { kind: 'manifest', name: 'a', reference: { tag: 'x' } }],
    ['/v2/a.b_c__d---e/manifests/x', { kind: 'manifest', name: 'a.b_c__d---e', reference: { tag: 'x' } }],
    // Words of the API are names too.
    ['/v2/manifests/manifests/manifests', { kind: 'manifest', name: 'manifests', reference: { tag: 'manifests' } }],
    ['/v2/a/tags/list/manifests/x', { kind: 'manifest', name: 'a/tags/list', reference: { tag: 'x' } }],
    ['/v2/a/blobs/uploads/tags/list', { kind: 'tags', name: 'a/blobs/uploads' }],
    ['/v2/tags/list/tags/list', { kind: 'tags', name: 'tags/list' }],
  ])('%s', (url, path) => {
    expect(parsePath(url)).toEqual(path);
  });
});

describe('parsePath refuses', () => {
  it.each([
    ['a dot segment', '/v2/a/../b/manifests/x', '400 NAME_INVALID'],
    ['a dot segment at the start', '/v2/../v2/a/manifests/x', '400 NAME_INVALID'],
    ['a dot segment in encoding', '/v2/a/%2e%2E/b/manifests/x', '400 NAME_INVALID'],
    ['a dot segment with an encoded slash', '/v2/a%2F..%2Fb/manifests/x', '400 NAME_INVALID'],
    ['a single dot', '/v2/a/./b/manifests/x', '400 NAME_INVALID'],
    ['a dot segment as a tag', '/v2/a/manifests/..', '404 MANIFEST_UNKNOWN'],
    ['a double slash', '/v2/a//b/manifests/x', '400 NAME_INVALID'],
    ['a double slash before the name', '/v2//a/manifests/x', '400 NAME_INVALID'],
    ['a double slash before the noun', '/v2/a//manifests/x', '400 NAME_INVALID'],
    ['a double slash before the tag', '/v2/a/manifests//x', '404 UNSUPPORTED'],
    ['a double slash at the start', '//v2/a/manifests/x', '404 UNSUPPORTED'],
    ['NUL in a name', '/v2/a%00/manifests/x', '400 NAME_INVALID'],
    ['NUL in a tag', '/v2/a/manifests/x%00', '404 MANIFEST_UNKNOWN'],
    ['NUL in a digest', `/v2/a/blobs/${sha256}%00`, '400 DIGEST_INVALID'],
    ['a line break in a name', '/v2/a%0a/manifests/x', '404 UNSUPPORTED'],
    ['a line break after a tag', '/v2/a/manifests/x%0A', '404 MANIFEST_UNKNOWN'],
    ['a line break after a digest', `/v2/a/blobs/${sha256}%0A`, '400 DIGEST_INVALID'],
    ['upper case in a name', '/v2/Group/project/manifests/x', '400 NAME_INVALID'],
    ['a space', '/v2/a%20b/manifests/x', '400 NAME_INVALID'],
    ['a backslash', '/v2/a%5Cb/manifests/x', '400 NAME_INVALID'],
    ['a letter beyond ASCII', '/v2/%C3%A9/manifests/x', '400 NAME_INVALID'],
    ['double encoding', '/v2/a%252Fb/manifests/x', '400 NAME_INVALID'],
    ['a lone percent sign', '/v2/a%/manifests/x', '400 NAME_INVALID'],
    ['bytes that are no UTF-8', '/v2/%ff/manifests/x', '400 NAME_INVALID'],
    ['separators at the ends of a name', '/v2/a-/manifests/x', '400 NAME_INVALID'],
    ['three underscores', '/v2/a___b/manifests/x', '400 NAME_INVALID'],
    ['a name of 256', `/v2/${name255}b/manifests/x`, '400 NAME_INVALID'],
    ['a tag of 129', `/v2/a/manifests/${tag128}x`, '404 MANIFEST_UNKNOWN'],
    ['a tag that begins with a dash', '/v2/a/manifests/-x', '404 MANIFEST_UNKNOWN'],
    ['no tag', '/v2/a/manifests/', '404 UNSUPPORTED'],
    ['a slash in a tag', '/v2/a/manifests/x%2Fy', '404 UNSUPPORTED'],
    ['upper case in a digest', `/v2/a/blobs/${sha256.toUpperCase().replace('SHA', 'sha')}`, '400 DIGEST_INVALID'],
    ['an upper case algorithm', `/v2/a/blobs/${sha256.replace('sha', 'SHA')}`, '400 DIGEST_INVALID'],
    ['a short digest', `/v2/a/manifests/${sha256.slice(0, -1)}`, '404 MANIFEST_UNKNOWN'],
    ['a long digest', `/v2/a/blobs/${sha256}0`, '400 DIGEST_INVALID'],
    ['a sha512 digest of the length of sha256', `/v2/a/blobs/${sha256.replace('256', '512')}`, '400 DIGEST_INVALID'],
    ['md5', `/v2/a/blobs/md5:${'0'.repeat(32)}`, '400 DIGEST_INVALID'],
    ['a tag as a blob', '/v2/a/blobs/latest', '400 DIGEST_INVALID'],
    ['a tag as a subject', '/v2/a/referrers/latest', '400 DIGEST_INVALID'],
    ['no repository', `/v2/blobs/${sha256}`, '404 UNSUPPORTED'],
    ['the tags of no repository', '/v2/tags/list', '404 UNSUPPORTED'],
    ['uploads', '/v2/a/blobs/uploads/', '404 BLOB_UPLOAD_UNKNOWN'],
    ['an upload session', '/v2/a/blobs/uploads/0123?_state=x', '404 BLOB_UPLOAD_UNKNOWN'],
    ['another end point', '/v2/a/b', '404 UNSUPPORTED'],
    ['another API', '/v1/a/manifests/x', '404 UNSUPPORTED'],
    ['another API of that length', '/v3/a/manifests/x', '404 UNSUPPORTED'],
    ['a path outside', '/api/v2/a/manifests/x', '404 UNSUPPORTED'],
    ['a whole URL', 'http://example.com/v2/a/manifests/x', '404 UNSUPPORTED'],
    ['nothing', '', '404 UNSUPPORTED'],
    ['10,000 characters of name', `/v2/${'a'.repeat(10_000)}/manifests/x`, '400 NAME_INVALID'],
    ['10,000 segments', `/v2${'/a'.repeat(10_000)}/manifests/x`, '400 NAME_INVALID'],
    ['10,000 characters of tag', `/v2/a/manifests/${'x'.repeat(10_000)}`, '404 MANIFEST_UNKNOWN'],
    ['10,000 characters of digest', `/v2/a/blobs/sha256:${'0'.repeat(10_000)}`, '400 DIGEST_INVALID'],
    ['10,000 characters of slashes', `/v2/${'/'.repeat(10_000)}`, '404 UNSUPPORTED'],
    ['10,000 characters of nouns', `/v2${'/manifests'.repeat(1_000)}/`, '404 UNSUPPORTED'],
  ])('%s', (_what, url, expected) => {
    expect(refusal(url)).toBe(expected);
  });
});

/** The URL of a path, to parse again. */
function urlOf(path: DistributionPath): string {
  switch (path.kind) {
    case 'base':
      return '/v2/';
    case 'catalog':
      return '/v2/_catalog';
    case 'tags':
      return `/v2/${path.name}/tags/list`;
    case 'manifest':
      return `/v2/${path.name}/manifests/${referenceText(path.reference)}`;
    default:
      return `/v2/${path.name}/${path.kind === 'blob' ? 'blobs' : 'referrers'}/${path.digest}`;
  }
}

describe('any path', () => {
  const words =
    'manifests blobs uploads referrers tags list _catalog tags/list /manifests/ /blobs/ a A 0 - _ __ é \ud800 💥';
  const signs = '/ // /v2/ v2 . .. %2e %2F %00 % %ff %C3%A9 %25 ? # : @ \\ \0 \v';
  const parts = [...`${words} ${signs}`.split(' '), ' ', '\n', sha256, sha512, 'sha256:', 'x'.repeat(130)];
  let state = 20_260_101;
  const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
  const anyUrl = (): string => {
    const start = random(4) === 0 ? '' : '/v2/';
    return start + Array.from({ length: random(9) }, () => parts[random(parts.length)]).join('');
  };

  it('is refused as a client error or read as one that is in canonical form', () => {
    const seen = { read: 0, refused: 0 };
    for (let round = 0; round < 50_000; round += 1) {
      const url = anyUrl();
      try {
        const path = parsePath(url);
        seen.read += 1;
        expect(parsePath(urlOf(path)), url).toEqual(path);
        expect(repositoryOf(path) ?? 'a', url).toMatch(/^[a-z0-9]+([._-]+[a-z0-9]+|\/[a-z0-9]+)*$/);
      } catch (error) {
        seen.refused += 1;
        if (!(error instanceof OciError))
          throw new Error(`${JSON.stringify(url)} made ${String(error)}`, { cause: error });
        expect([400, 404], url).toContain(error.status);
      }
    }
    // Both happened often enough for the words above to mean something.
    expect(seen.read).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(100);
  });
});

describe('repositoryOf', () => {
  it('is the name, or nothing for what belongs to none', () => {
    expect(repositoryOf({ kind: 'tags', name: 'a/b' })).toBe('a/b');
    expect(repositoryOf({ kind: 'base' })).toBeUndefined();
    expect(repositoryOf({ kind: 'catalog' })).toBeUndefined();
  });
});
