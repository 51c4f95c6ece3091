// Names, tags and references by the grammar of the specification.
import { isDigest, type Digest } from './digest.ts';

/** What a manifest is asked by (distribution-spec #pulling-manifests). */
export type Reference = { readonly tag: string } | { readonly digest: Digest };

const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** The longest repository name that Distribution takes. */
const NAME_MAX = 255;

/** Whether `text` is a repository name of 255 characters at the most (distribution-spec #pulling-manifests). */
export function isName(text: string): boolean {
  return text.length <= NAME_MAX && NAME.test(text);
}

/** Whether `text` is a tag (distribution-spec #pulling-manifests). */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Returns `text` as a reference, or undefined when it is neither tag nor digest. */
export function parseReference(text: string): Reference | undefined {
  if (isDigest(text)) return { digest: text };
  return isTag(text) ? { tag: text } : undefined;
}

/** A reference as it stands in a URL. */
export function referenceText(reference: Reference): string {
  return 'tag' in reference ? reference.tag : reference.digest;
}
