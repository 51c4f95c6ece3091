// Removing from the secondary: a tag without its siblings, a manifest with what is left of its tags. Whether that may be
// is decided elsewhere.
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { digestOf, type Digest } from '../oci/digest.ts';
import { MANIFEST } from '../oci/media-types.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Store } from '../fill/store.ts';
import type { Registry } from '../registry/registry.ts';
import { failureText, wordsOf } from '../registry/answer.ts';
import { copyFailure, CopyFailed, SecondaryReadOnly, Waiting } from './copy-failure.ts';
import { ANY_CHANGE, type Dummy, type RowStore } from './rows.ts';

/** What removing needs. */
export interface RemoveDeps {
  readonly secondary: Registry;
  readonly store: Store;
  readonly rows: Pick<RowStore, 'addDummy' | 'removeDummy' | 'dummies'>;
  /** Told of a dummy's digest before it is put: it is never served. */
  readonly onDummy: (digest: Digest) => void;
}

/** Removes from the secondary. @throws CopyFailed, of which {@link SecondaryReadOnly} and {@link Waiting} pass */
export interface Remover {
  removeTag(name: string, tag: string): Promise<void>;
  /** With all the tags that stand on it. */
  removeManifest(name: string, digest: Digest): Promise<void>;
  /** Hides the dummies that an earlier run left. */
  takeUp(): Promise<void>;
  /** Ends the removals that were begun and not ended; whether none is left. */
  recover(): Promise<boolean>;
}

const EMPTY = Buffer.from('{}');
const EMPTY_DIGEST = digestOf(EMPTY);
const DELETES_NOTHING = 'the secondary deletes nothing: set storage.delete.enabled in its configuration';

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
  // Those that are not being worked on now: of an earlier run, or given up in this one.
  let left: Dummy[] = [];

  /** Why a registry does not delete: for a while, or by its configuration. */
  async function refusal(name: string, what: string): Promise<CopyFailed> {
    const session = await secondary.uploads.start(name, timeout);
    if (session.kind === 'unsupported') return new SecondaryReadOnly(what, 'the secondary takes no writes');
    return new CopyFailed(what, DELETES_NOTHING);
  }

  async function removeManifest(name: string, digest: Digest): Promise<void> {
    const answer = await secondary.manifests.delete(name, { digest }, timeout);
    if (answer.kind === 'found' || answer.kind === 'missing') return;
    const what = `manifest ${digest}`;
    // GitLab's registry with a database: an index points at it still, which has to go first.
    if (wordsOf(answer)?.status === 409) throw new Waiting(ANY_CHANGE, what, failureText(answer), answer);
    throw answer.kind === 'unsupported' ? await refusal(name, what) : copyFailure(what, answer, 'secondary');
  }

  async function end(dummy: Dummy): Promise<void> {
    await removeManifest(dummy.repository, dummy.digest);
    await rows.removeDummy(dummy);
  }

  async function put(name: string, tag: string, manifest: Manifest): Promise<void> {
    const body = (): Readable => Readable.from([EMPTY], { objectMode: false });
    const config = await store.upload(name, EMPTY_DIGEST, body, EMPTY.length);
    const answer = config.kind === 'found' ? await secondary.manifests.put(name, { tag }, manifest, timeout) : config;
    if (answer.kind === 'found') return;
    if (answer.kind === 'unsupported') throw new SecondaryReadOnly(`tag ${tag}`, 'the secondary takes no writes');
    throw copyFailure(`tag ${tag}`, answer, 'secondary');
  }

  /**
   * For registries that delete by digest only, and with a digest all its tags: the tag is given a manifest that no
   * other tag has, and that one is deleted.
   */
  async function removeByDummy(name: string, tag: string): Promise<void> {
    const manifest = dummyManifest();
    const dummy = { repository: name, tag, digest: manifest.digest };
    onDummy(manifest.digest);
    // It is not there: a registry that deletes nothing says so before the tag is given up for it.
    await removeManifest(name, manifest.digest);
    await rows.addDummy(dummy);
    try {
      await put(name, tag, manifest);
      await end(dummy);
    } catch (error) {
      left.push(dummy);
      throw error;
    }
  }

  /** Ends what was left of one tag, or of all; rejects with the first failure when all were tried. */
  async function endLeft(isWanted: (dummy: Dummy) => boolean): Promise<number> {
    const wanted = left.filter(isWanted);
    left = left.filter((dummy) => !wanted.includes(dummy));
    const failures: unknown[] = [];
    for (const dummy of wanted) {
      await end(dummy).catch((error: unknown) => {
        left.push(dummy);
        failures.push(error);
      });
    }
    if (failures.length > 0) throw failures[0];
    return wanted.length;
  }

  async function isHere(name: string, tag: string): Promise<boolean> {
    const here = await secondary.manifests.head(name, { tag }, timeout);
    if (here.kind !== 'found' && here.kind !== 'missing') throw copyFailure(`tag ${tag}`, here, 'secondary');
    return here.kind === 'found';
  }

  async function removeTag(name: string, tag: string): Promise<void> {
    const ended = await endLeft((dummy) => dummy.repository === name && dummy.tag === tag);
    if (ended > 0 && !(await isHere(name, tag))) return;
    const answer = await secondary.manifests.delete(name, { tag }, timeout);
    // Distribution 2 knows only digests; others do not take tags here, or take nothing, which the dummy finds out.
    if (answer.kind === 'invalid' || answer.kind === 'unsupported') await removeByDummy(name, tag);
    else if (answer.kind !== 'found' && answer.kind !== 'missing') {
      throw copyFailure(`tag ${tag}`, answer, 'secondary');
    }
    // What answers well and removes nothing has removed nothing.
    if (await isHere(name, tag)) throw new CopyFailed(`tag ${tag}`, 'the secondary still has it after its removal');
  }

  return {
    removeTag,
    removeManifest,
    async takeUp() {
      left = [...(await rows.dummies())];
      for (const { digest } of left) onDummy(digest);
    },
    async recover() {
      await endLeft(() => true);
      return left.length === 0;
    },
  };
}
