// Tags that stand for referrers where a registry has no list of them: of the specification, and of cosign.
import { hexOf, parseDigest, type Digest } from './digest.ts';

// cosign's signatures, attestations and SBOMs; without a suffix an index of all that refers to the manifest
// (distribution-spec #referrers-tag-schema).
const SUFFIXES = ['', '.sig', '.att', '.sbom'];
const GRAMMAR = /^sha256-(?<hex>[0-9a-f]{64})(?:\.(?:sig|att|sbom))?$/;

/** The manifest that a tag's content refers to, by the tag's own name; undefined where it is a tag like any other. */
export function subjectOfTag(tag: string): Digest | undefined {
  const hex = GRAMMAR.exec(tag)?.groups?.['hex'];
  return hex === undefined ? undefined : parseDigest(`sha256:${hex}`);
}

/** The tags under which a manifest's referrers may be; none of sha512, whose tags do not tell the whole digest. */
export function referrerTagsOf(digest: Digest): readonly string[] {
  return digest.startsWith('sha256:') ? SUFFIXES.map((suffix) => `sha256-${hexOf(digest)}${suffix}`) : [];
}
