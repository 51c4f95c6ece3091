// Removing from the secondary: a tag without other tags of its manifest, or a manifest with its tags. Whether that is
// allowed is decided in removal.ts.
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { digestOf, type Digest } from '../oci/digest.ts';
import { MANIFEST } from '../oci/media-types.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Store } from '../fill/store.ts';
import { failureText, wordsOf } from '../registry/answer.ts';
import { copyFailure, CopyFailed, SecondaryReadOnly, Waiting } from './copy-failure.ts';
import type { Dummy } from './records.ts';
import { ANY_CHANGE } from './row.ts';
import { ANSWER_TIMEOUT, type Site } from './site.ts';

const EMPTY = Buffer.from('{}');
const EMPTY_DIGEST = digestOf(EMPTY);
const DELETES_NOTHING = 'the secondary deletes nothing: set storage.delete.enabled in its configuration';

/** A manifest that no other one equals: without layers, with a random annotation. */
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

/** Removes from the secondary. Removals throw CopyFailed, of which {@link SecondaryReadOnly} and {@link Waiting} pass. */
export class Remover {
  readonly #secondary: Site['secondary'];
  readonly #rows: Site['rows'];
  readonly #store: Pick<Store, 'upload'>;
  readonly #onDummy: (digest: Digest) => void;
  /** Dummies that are not being removed now: those of an earlier run, and those whose removal failed in this one. */
  #left: Dummy[] = [];

  /** `onDummy` is called with a dummy's digest before it is put: it is never to be served. */
  constructor(
    { secondary, rows }: Pick<Site, 'secondary' | 'rows'>,
    store: Pick<Store, 'upload'>,
    onDummy: (digest: Digest) => void,
  ) {
    this.#secondary = secondary;
    this.#rows = rows;
    this.#store = store;
    this.#onDummy = onDummy;
  }

  /** Hides the dummies that an earlier run left. */
  async takeUp(): Promise<void> {
    this.#left = [...(await this.#rows.dummies())];
    for (const { digest } of this.#left) this.#onDummy(digest);
  }

  /** Ends the removals that were begun and not ended; answers whether none is left. */
  async recover(): Promise<boolean> {
    await this.#endLeft(() => true);
    return this.#left.length === 0;
  }

  async removeTag(name: string, tag: string): Promise<void> {
    const what = `tag ${tag}`;
    const ended = await this.#endLeft((dummy) => dummy.repository === name && dummy.tag === tag);
    if (ended > 0 && !(await this.#exists(name, tag))) return;
    const answer = await this.#secondary.manifests.delete(name, { tag }, ANSWER_TIMEOUT);
    // Distribution 2 knows only digests. Others take no tags here, or delete nothing: the dummy shows which.
    if (answer.kind === 'invalid' || answer.kind === 'unsupported') await this.#removeByDummy(name, tag);
    else if (answer.kind !== 'found' && answer.kind !== 'missing') throw copyFailure(what, answer, 'secondary');
    // Some answer with success and remove nothing.
    if (await this.#exists(name, tag)) throw new CopyFailed(what, 'the secondary still has it after its removal');
  }

  /** Removes a manifest with all tags that stand on it. */
  async removeManifest(name: string, digest: Digest): Promise<void> {
    const answer = await this.#secondary.manifests.delete(name, { digest }, ANSWER_TIMEOUT);
    if (answer.kind === 'found' || answer.kind === 'missing') return;
    const what = `manifest ${digest}`;
    // GitLab's registry with a database: an index still points at it, and has to go first.
    if (wordsOf(answer)?.status === 409) throw new Waiting(ANY_CHANGE, what, failureText(answer), answer);
    throw answer.kind === 'unsupported' ? await this.#refusal(name, what) : copyFailure(what, answer, 'secondary');
  }

  /** Why a registry does not delete: for a while, or by its configuration. */
  async #refusal(name: string, what: string): Promise<CopyFailed> {
    const session = await this.#secondary.uploads.start(name, ANSWER_TIMEOUT);
    return session.kind === 'unsupported' ? new SecondaryReadOnly(what) : new CopyFailed(what, DELETES_NOTHING);
  }

  /**
   * For registries that delete by digest only, and with a digest all its tags: the tag is given a manifest that no
   * other tag has, and that one is deleted.
   */
  async #removeByDummy(name: string, tag: string): Promise<void> {
    const manifest = dummyManifest();
    const dummy = { repository: name, tag, digest: manifest.digest };
    this.#onDummy(manifest.digest);
    // It does not exist yet: a registry that deletes nothing says so before the tag is moved.
    await this.removeManifest(name, manifest.digest);
    await this.#rows.addDummy(dummy);
    try {
      await this.#put(name, tag, manifest);
      await this.#end(dummy);
    } catch (error) {
      this.#left.push(dummy);
      throw error;
    }
  }

  async #put(name: string, tag: string, manifest: Manifest): Promise<void> {
    const body = (): Readable => Readable.from([EMPTY], { objectMode: false });
    const config = await this.#store.upload(name, EMPTY_DIGEST, body, EMPTY.length);
    const answer =
      config.kind === 'found' ? await this.#secondary.manifests.put(name, { tag }, manifest, ANSWER_TIMEOUT) : config;
    if (answer.kind === 'unsupported') throw new SecondaryReadOnly(`tag ${tag}`);
    if (answer.kind !== 'found') throw copyFailure(`tag ${tag}`, answer, 'secondary');
  }

  async #end(dummy: Dummy): Promise<void> {
    await this.removeManifest(dummy.repository, dummy.digest);
    await this.#rows.removeDummy(dummy);
  }

  /** Removes dummies that were left; rejects with the first failure when all were tried. */
  async #endLeft(isWanted: (dummy: Dummy) => boolean): Promise<number> {
    const wanted = this.#left.filter(isWanted);
    this.#left = this.#left.filter((dummy) => !wanted.includes(dummy));
    const failures: unknown[] = [];
    for (const dummy of wanted) {
      await this.#end(dummy).catch((error: unknown) => {
        this.#left.push(dummy);
        failures.push(error);
      });
    }
    if (failures.length > 0) throw failures[0];
    return wanted.length;
  }

  async #exists(name: string, tag: string): Promise<boolean> {
    const head = await this.#secondary.manifests.head(name, { tag }, ANSWER_TIMEOUT);
    if (head.kind !== 'found' && head.kind !== 'missing') throw copyFailure(`tag ${tag}`, head, 'secondary');
    return head.kind === 'found';
  }
}
