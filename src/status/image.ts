// One image: what both registries say of it now, what it is made of, and which of that is here.
import { isDigest, type Digest } from '../oci/digest.ts';
import { linksOf, type Manifest } from '../oci/manifest.ts';
import { isIndex } from '../oci/media-types.ts';
import { isName, parseReference, type Reference } from '../oci/reference.ts';
import { referrerTagsOf } from '../oci/referrer-tag.ts';
import { failureText, type Answer } from '../registry/answer.ts';
import { readEntries } from '../registry/entries.ts';
import type { Registry } from '../registry/registry.ts';
import { forEach } from '../replication/for-each.ts';
import type { RowStore } from '../replication/rows.ts';
import type { BlobState, Image, ImageSide } from './api.ts';
import { causeInWords } from './registry-state.ts';
import { listedRow } from './row-listing.ts';
import { InvalidInput } from './schemas.ts';

/** What an image is told from. */
export interface ImageDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly rows: Pick<RowStore, 'find' | 'findBlob'>;
}

// Questions at once, for one image.
const AT_ONCE = 8;
// What is told of at the most: an image with more has been made to have more.
const PARTS_MAX = 500;
const JSON_MAX = 1024 * 1024;
const REFERRERS_MAX = 100;

function sideOf(answer: Answer<Manifest>): ImageSide {
  if (answer.kind === 'found') return { digest: answer.value.digest, state: 'found', cause: null };
  if (answer.kind === 'missing') return { digest: null, state: 'missing', cause: null };
  const cause = causeInWords(failureText(answer));
  const isRefused = answer.kind === 'refused' || answer.kind === 'locked-out';
  return { digest: null, state: isRefused ? 'refused' : 'unreachable', cause };
}

function shownJson(bytes: Buffer): string {
  if (bytes.length > JSON_MAX) return `${bytes.subarray(0, JSON_MAX).toString()}…`;
  try {
    return JSON.stringify(JSON.parse(bytes.toString()), null, 2);
  } catch {
    return bytes.toString();
  }
}

function shownManifest({ digest, mediaType, bytes }: Manifest): Image['manifest'] {
  return { digest, mediaType, size: bytes.length, json: shownJson(bytes) };
}

const KINDS: readonly (readonly [RegExp, string])[] = [
  [/cosign.*sig|notary.*signature|signature/i, 'signature'],
  [/spdx/i, 'SBOM (SPDX)'],
  [/cyclonedx/i, 'SBOM (CycloneDX)'],
  [/sbom/i, 'SBOM'],
  [/in-toto|attestation|provenance|slsa|dsse|sigstore\.bundle/i, 'attestation'],
];

/** What a referrer is, for people. */
export function referrerKind(artifactType: string): string {
  return KINDS.find(([pattern]) => pattern.test(artifactType))?.[1] ?? 'artifact';
}

interface Referrer {
  readonly digest: Digest;
  readonly artifactType: string;
}

function referrerOf(entry: unknown): Referrer | undefined {
  const { digest, artifactType, mediaType } = (entry ?? {}) as Record<string, unknown>;
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined;
  const type = typeof artifactType === 'string' && artifactType !== '' ? artifactType : mediaType;
  return { digest, artifactType: typeof type === 'string' ? type.slice(0, 255) : '' };
}

function checked(repository: string, text: string): Reference {
  if (!isName(repository)) throw new InvalidInput(`repository: ${JSON.stringify(repository)} is no repository's name`);
  const reference = parseReference(text);
  if (!reference) throw new InvalidInput(`reference: ${JSON.stringify(text)} is neither a tag nor a digest`);
  return reference;
}

/** Asks both registries for images; `timeout` (ms) to the headers of each answer. */
export class ImageAsker {
  readonly #deps: ImageDeps;
  readonly #timeout: number;

  constructor(deps: ImageDeps, { timeout = 5_000 } = {}) {
    this.#deps = deps;
    this.#timeout = timeout;
  }

  async #isManifestHere(name: string, digest: Digest): Promise<boolean | null> {
    const { secondary } = this.#deps;
    const answer = await secondary.manifests.head(name, { digest }, this.#timeout);
    return answer.kind === 'found' ? true : answer.kind === 'missing' ? false : null;
  }

  async #blobState(name: string, digest: Digest): Promise<BlobState> {
    const { secondary, rows } = this.#deps;
    if ((await rows.findBlob(name, digest))?.isDamaged) return 'damaged';
    const answer = await secondary.blobs.head(name, digest, this.#timeout);
    return answer.kind === 'found' ? 'here' : answer.kind === 'missing' ? 'missing' : 'unknown';
  }

  /** The first page of the primary's list, the local one where that cannot be asked, else tags named for the digest. */
  async #referrersOf(name: string, digest: Digest): Promise<readonly Referrer[]> {
    const { primary, secondary } = this.#deps;
    for (const registry of [primary, secondary]) {
      const page = await registry.lists.page({ kind: 'referrers', name, digest }, '', this.#timeout);
      if (page.kind !== 'found') continue;
      const found: Referrer[] = [];
      try {
        for await (const part of readEntries(page.value.bytes, 'manifests')) {
          found.push(...part.map(referrerOf).filter((one) => one !== undefined));
        }
      } catch {
        // What is no list tells of no referrers.
      }
      return found.slice(0, REFERRERS_MAX);
    }
    const tags = await Promise.all(
      referrerTagsOf(digest).map(async (tag) => {
        const answer = await primary.manifests.head(name, { tag }, this.#timeout);
        return answer.kind === 'found' ? { digest: answer.value.digest, artifactType: tag } : undefined;
      }),
    );
    return tags.filter((one) => one !== undefined);
  }

  async #partsOf(name: string, manifest: Manifest): Promise<Pick<Image, 'platforms' | 'layers'>> {
    const { blobs, manifests } = linksOf(manifest);
    const platforms: Image['platforms'][number][] = [];
    const layers: Image['layers'][number][] = [];
    const children = isIndex(manifest.mediaType) ? manifests.slice(0, PARTS_MAX) : [];
    await forEach(children.entries(), AT_ONCE, async ([index, { digest, size, platform }]) => {
      const text = [platform?.os, platform?.architecture].filter(Boolean).join('/');
      const here = await this.#isManifestHere(name, digest);
      platforms[index] = { platform: text || 'unknown', digest, size: size ?? null, here };
    });
    await forEach(blobs.slice(0, PARTS_MAX).entries(), AT_ONCE, async ([index, { digest, mediaType, size }]) => {
      layers[index] = { digest, mediaType, size: size ?? null, local: await this.#blobState(name, digest) };
    });
    return { platforms, layers };
  }

  async #referrersHere(name: string, digest: Digest): Promise<Image['referrers']> {
    const referrers: Image['referrers'][number][] = [];
    await forEach((await this.#referrersOf(name, digest)).entries(), AT_ONCE, async ([index, referrer]) => {
      const here = await this.#isManifestHere(name, referrer.digest);
      referrers[index] = { ...referrer, what: referrerKind(referrer.artifactType), here };
    });
    return referrers;
  }

  /** What is told of an image; `host` is where clients pull. @throws InvalidInput, StoreUnavailable */
  async ask(repository: string, text: string, host: string): Promise<Image> {
    const { primary, secondary, rows } = this.#deps;
    const reference = checked(repository, text);
    const [there, here, row] = await Promise.all([
      primary.manifests.get(repository, reference, this.#timeout),
      secondary.manifests.get(repository, reference, this.#timeout),
      rows.find(repository, text),
    ]);
    const manifest = there.kind === 'found' ? there.value : here.kind === 'found' ? here.value : undefined;
    const [parts, referrers] = manifest
      ? await Promise.all([this.#partsOf(repository, manifest), this.#referrersHere(repository, manifest.digest)])
      : [{ platforms: [], layers: [] }, []];
    return {
      repository,
      reference: text,
      pull: `docker pull ${host}/${repository}${isDigest(text) ? '@' : ':'}${text}`,
      row: row ? listedRow(row) : null,
      primary: sideOf(there),
      secondary: sideOf(here),
      manifest: manifest ? shownManifest(manifest) : null,
      ...parts,
      referrers,
    };
  }
}
