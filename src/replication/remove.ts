// Removing: a tag without its siblings, a manifest without its tags; each only after the primary's own 404 for it.
import { randomUUID } from 'node:crypto';
import { digestOf, type Digest } from '../oci/digest.ts';
import { MANIFEST } from '../oci/media-types.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Store } from '../fill/store.ts';
import type { Answer } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import type { Dummy, RowStore } from './rows.ts';
import { CopyFailed } from './copy.ts';
import { Readable } from 'node:stream';

/** What removing needs. */
export interface RemoveDeps {
  readonly secondary: Registry;
  readonly store: Store;
  readonly rows: Pick<RowStore, 'addDummy' | 'removeDummy' | 'dummies'>;
  /** Told of a dummy's digest before it is put: it is never served. */
  readonly onDummy: (digest: Digest) => void;
}

/** Removes from the secondary. The caller has asked the primary. @throws CopyFailed */
export interface Remover {
  removeTag(name: string, tag: string): Promise<void>;
  removeManifest(name: string, digest: Digest): Promise<void>;
  /** Ends what an earlier run began. */
  recover(): Promise<void>;
}

const EMPTY = Buffer.from('{}');
const EMPTY_DIGEST = digestOf(EMPTY);

function failed(what: string, answer: Exclude<Answer<unknown>, { kind: 'found' }>): CopyFailed {
  if (answer.kind !== 'unsupported')
    return new CopyFailed(what, answer.kind === 'unavailable' ? answer.reason : answer.kind);
  return new CopyFailed(what, 'the secondary deletes nothing: set storage.delete.enabled in its configuration');
}

/** A manifest that nothing else can be: of no layers, with a name of its own. */
function dummyManifest(): Manifest {
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: EMPTY_DIGEST, size: EMPTY.length };
  const document = {
    schemaVersion: 2,
    mediaType: MANIFEST.ociManifest,
    config,
    layers: [],
    annotations: { 'geo-registry-proxy.removal': randomUUID() },
  };
  const bytes = Buffer.from(JSON.stringify(document));
  return { mediaType: MANIFEST.ociManifest, digest: digestOf(bytes), bytes };
}

/** @see Remover */
export function createRemover(deps: RemoveDeps, { timeout = 30_000 } = {}): Remover {
  const { secondary, store, rows, onDummy } = deps;

  async function removeManifest(name: string, digest: Digest): Promise<void> {
    const answer = await secondary.manifests.delete(name, { digest }, timeout);
    if (answer.kind !== 'found' && answer.kind !== 'missing') throw failed(`manifest ${digest}`, answer);
  }

  async function finish(dummy: Dummy): Promise<void> {
    await removeManifest(dummy.repository, dummy.digest);
    await rows.removeDummy(dummy);
  }

  /**
   * For registries that delete by digest only, and with a digest all its tags: the tag is given a manifest that no
   * other tag has, and that one is deleted.
   */
  async function removeByDummy(name: string, tag: string): Promise<void> {
    const manifest = dummyManifest();
    const dummy = { repository: name, tag, digest: manifest.digest };
    const config = await store.upload(
      name,
      EMPTY_DIGEST,
      () => Readable.from([EMPTY], { objectMode: false }),
      EMPTY.length,
    );
    if (config.kind !== 'found') throw failed(`tag ${tag}`, config);
    onDummy(manifest.digest);
    await rows.addDummy(dummy);
    const put = await secondary.manifests.put(name, { tag }, manifest, timeout);
    if (put.kind !== 'found') throw failed(`tag ${tag}`, put);
    await finish(dummy);
  }

  return {
    async removeTag(name, tag) {
      const answer = await secondary.manifests.delete(name, { tag }, timeout);
      if (answer.kind === 'found' || answer.kind === 'missing') return;
      if (answer.kind !== 'invalid') throw failed(`tag ${tag}`, answer);
      await removeByDummy(name, tag);
    },
    removeManifest,
    async recover() {
      for (const dummy of await rows.dummies()) {
        onDummy(dummy.digest);
        await finish(dummy);
      }
    },
  };
}
