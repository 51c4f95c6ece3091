// How large images are and for which platforms, as lists show it: read from the local registry once, and remembered.
import { createLru } from '../lib/lru.ts';
import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { linksOf, type Manifest } from '../oci/manifest.ts';
import { isIndex } from '../oci/media-types.ts';
import { collect, limitsFor } from '../registry/body.ts';
import type { Registry } from '../registry/registry.ts';
import { forEach } from '../replication/for-each.ts';
import { unlessLate } from './patience.ts';

/** Bytes of all blobs, of an index those of all its images, each once; platforms as `linux/arm64/v8`. */
export interface ImageFacts {
  readonly size: number | null;
  readonly platforms: readonly string[];
}

/** What is known of images by digest; those that cannot be read in time are told without. Never rejects. */
export type FactsOf = (
  images: readonly { readonly name: string; readonly digest: Digest }[],
) => Promise<ReadonlyMap<Digest, ImageFacts>>;

/** Nothing is known. */
export const NO_FACTS: ImageFacts = { size: null, platforms: [] };

// Questions at once, and how long (ms) a page waits for them: what comes later is there for the next one.
const AT_ONCE = 8;
const PATIENCE = 1_500;
const CHILDREN_MAX = 32;
const CONFIG_MAX = 256 * 1024;

interface Platform {
  readonly os?: unknown;
  readonly architecture?: unknown;
  readonly variant?: unknown;
}

function platformText({ os, architecture, variant }: Platform): string | undefined {
  const parts = [os, architecture, variant].filter((part) => typeof part === 'string' && part !== '');
  // Attestations have a platform that is none.
  return parts.length < 2 || parts.includes('unknown') ? undefined : parts.join('/').slice(0, 64);
}

function sumOf(sizes: Iterable<number>): number {
  let sum = 0;
  for (const size of sizes) sum += size;
  return sum;
}

/** @see FactsOf; `timeout` (ms) to the headers of each answer. */
export function createImageFacts(secondary: Registry, { timeout = 5_000 } = {}): FactsOf {
  const known = createLru<Digest, ImageFacts>('imageFacts', {
    sizeOf: ({ platforms }) => 64 + platforms.join().length,
  });

  async function configPlatform(name: string, config: Descriptor): Promise<string | undefined> {
    if ((config.size ?? Infinity) > CONFIG_MAX) return undefined;
    const answer = await secondary.blobs.open(name, config.digest, timeout);
    if (answer.kind !== 'found') return undefined;
    const { bytes } = await collect(answer.value.body, limitsFor(timeout, CONFIG_MAX));
    try {
      return platformText(Object(JSON.parse(bytes.toString())) as Platform);
    } catch {
      return undefined;
    }
  }

  async function get(name: string, digest: Digest): Promise<Manifest | undefined> {
    const answer = await secondary.manifests.get(name, { digest }, timeout);
    return answer.kind === 'found' ? answer.value : undefined;
  }

  async function ofIndex(name: string, index: Manifest): Promise<ImageFacts> {
    const children = linksOf(index).manifests.slice(0, CHILDREN_MAX);
    const platforms = children.map(({ platform }) => platformText(platform ?? {})).filter((text) => text !== undefined);
    const sizes = new Map<Digest, number>();
    let isWhole = children.length === linksOf(index).manifests.length;
    for (const { digest } of children) {
      const child = await get(name, digest);
      if (!child) isWhole = false;
      for (const blob of child ? linksOf(child).blobs : []) sizes.set(blob.digest, blob.size ?? 0);
    }
    return { size: isWhole ? sumOf(sizes.values()) : null, platforms: [...new Set(platforms)] };
  }

  async function read(name: string, digest: Digest): Promise<void> {
    const manifest = await get(name, digest);
    if (!manifest) return;
    if (isIndex(manifest.mediaType)) return void known.set(digest, await ofIndex(name, manifest));
    const { blobs } = linksOf(manifest);
    const size = sumOf(blobs.map((blob) => blob.size ?? 0));
    const config = blobs.find(({ mediaType }) => /(?:image\.config|container\.image)\.v1\+json$/.test(mediaType ?? ''));
    const platform = config && (await configPlatform(name, config));
    known.set(digest, { size, platforms: platform === undefined ? [] : [platform] });
  }

  return async (images) => {
    const missing = images.filter(({ digest }) => !known.has(digest));
    const reading = forEach(missing, AT_ONCE, ({ name, digest }) => read(name, digest)).catch(() => undefined);
    await unlessLate(reading, PATIENCE, undefined);
    return new Map(images.map(({ digest }) => [digest, known.get(digest) ?? NO_FACTS]));
  };
}
