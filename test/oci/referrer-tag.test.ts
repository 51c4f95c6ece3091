// Tags that stand for referrers.
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { referrerTagsOf, subjectOfTag } from '../../src/oci/referrer-tag.ts';

const digest = digestOf(Buffer.from('subject'));
const hex = digest.slice('sha256:'.length);

test('a manifest has one tag of the specification and three of cosign', () => {
  expect(referrerTagsOf(digest)).toEqual([
    `sha256-${hex}`,
    `sha256-${hex}.sig`,
    `sha256-${hex}.att`,
    `sha256-${hex}.sbom`,
  ]);
});

test('each of them tells its subject', () => {
  expect(new Set(referrerTagsOf(digest).map(subjectOfTag))).toEqual(new Set([digest]));
});

test('a digest of sha512 is cut off in tags, and so has none', () => {
  expect(referrerTagsOf(digestOf(Buffer.from('subject'), 'sha512'))).toEqual([]);
});

describe('is a tag like any other:', () => {
  test.each(['v1', `sha256-${hex}.txt`, `sha256-${hex.slice(1)}`, `sha256-${hex.toUpperCase()}`, `x-sha256-${hex}`])(
    '%s',
    (tag) => {
      expect(subjectOfTag(tag)).toBeUndefined();
    },
  );
});
