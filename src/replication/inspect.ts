// Inspecting: whether a blob of the secondary has the bytes that its digest names, by a look at its end or by reading it.
import type { Readable } from 'node:stream';
import { givenAtLeast, LEAST_RATE, type LeastRate } from '../lib/least-rate.ts';
import type { Rate } from '../lib/rate.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestOf, hasherFor, matches, type Digest } from '../oci/digest.ts';
import type { ByteRange } from '../oci/range.ts';
import { failureText, isNotStored, type Failure } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import { ANSWER_TIMEOUT } from './site.ts';

/** What was found, `reason` for people. */
export interface Finding {
  /**
   * `missing`: it has no byte, so that an upload brings it back. `damaged`: it has wrong bytes. `doubtful`: its size is
   * not that of its manifest, which may be wrong. `unknown`: the secondary did not say.
   */
  readonly kind: 'whole' | 'missing' | 'damaged' | 'doubtful' | 'unknown';
  readonly reason: string;
  /** What the secondary answered, where that leaves it unknown. */
  readonly failure?: Failure;
}

/** A blob, and its size as a manifest gives it. */
export type BlobSize = Pick<Descriptor, 'digest' | 'size'>;

/** @see Inspector.read */
export interface ReadingOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes of each chunk. */
  readonly onRead?: (bytes: number) => void;
}

const WHOLE: Finding = { kind: 'whole', reason: '' };
const NOT_FOUND: Finding = { kind: 'missing', reason: 'the secondary does not have it' };
/** The storage's answer, not the registry's: it counts when it comes twice. */
const NOT_STORED: Finding = { kind: 'missing', reason: 'the storage of the secondary does not have it' };

/** The one byte of a small range: its presence and the size that came with it. */
type Peek = { readonly kind: 'byte'; readonly size: number | undefined } | { readonly kind: 'none' } | Finding;

function unknown(failure: Failure): Finding {
  return { kind: 'unknown', reason: failureText(failure, 'secondary'), failure };
}

async function hasByte(body: Readable): Promise<boolean> {
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) if (chunk.length > 0) return true;
  } catch {
    // A body that breaks off has none.
  }
  return false;
}

/** Inspects blobs of the secondary. Never throws for what a registry does. */
export class Inspector {
  readonly #secondary: Registry;
  readonly #rate: Rate;
  readonly #leastRate: LeastRate;

  constructor(secondary: Registry, rate: Rate, { leastRate = LEAST_RATE }: { leastRate?: LeastRate } = {}) {
    this.#secondary = secondary;
    this.#rate = rate;
    this.#leastRate = leastRate;
  }

  /** Whether the secondary answers as a registry that accepts us: only then its answers about a blob count. */
  async isAnswering(): Promise<boolean> {
    const ping = await this.#secondary.ping({ fresh: true });
    return ping.kind === 'found' && ping.value.isRegistry && ping.value.acceptsUs;
  }

  /** Looks at the size and at the last byte, since a registry's HEAD may be of a file that is short or gone. */
  async look(name: string, blob: BlobSize): Promise<Finding> {
    const finding = await this.#lookOnce(name, blob);
    // A registry's own 404 is sure.
    if (finding === NOT_FOUND || (finding.kind !== 'missing' && finding.kind !== 'damaged')) return finding;
    // A registry that is being stopped breaks bodies off, too: its answers do not count then.
    if (!(await this.isAnswering())) return { kind: 'unknown', reason: 'the secondary does not answer' };
    return this.#lookOnce(name, blob);
  }

  /** Reads and hashes it, at the rate; rejects only when `signal` is aborted. */
  async read(name: string, digest: Digest, options: ReadingOptions = {}): Promise<Finding> {
    const first = await this.#readOnce(name, digest, options);
    if (typeof first !== 'number') return first;
    const again = await this.#readOnce(name, digest, options);
    if (typeof again !== 'number') return again;
    // Twice at one byte, from a registry that answers: that is its storage, not the connection.
    const isStorage = first === again && (await this.isAnswering());
    return { kind: isStorage ? 'damaged' : 'unknown', reason: `it breaks off at byte ${again}` };
  }

  async #lookOnce(name: string, { digest, size }: BlobSize): Promise<Finding> {
    const head = await this.#secondary.blobs.head(name, digest, ANSWER_TIMEOUT);
    if (head.kind === 'missing') return NOT_FOUND;
    if (isNotStored(head)) return NOT_STORED;
    if (head.kind !== 'found') return unknown(head);
    if (head.value.size === 0) {
      const isEmpty = digestOf(Buffer.alloc(0), algorithmOf(digest)) === digest;
      return isEmpty ? WHOLE : { kind: 'damaged', reason: 'its file is empty' };
    }
    const last = await this.#peek(name, digest, { suffix: 1 });
    if (last.kind === 'byte') {
      const found = last.size ?? head.value.size;
      if (size === undefined || found === undefined || found === size) return WHOLE;
      return { kind: 'doubtful', reason: `it has ${found} bytes, its manifest says ${size}` };
    }
    if (last.kind !== 'none') return last;
    // A registry that remembers sizes answers HEAD for files that are gone: no byte of those can be read.
    const first = await this.#peek(name, digest, { start: 0, end: 0 });
    if (first.kind === 'byte') return { kind: 'damaged', reason: 'its last byte cannot be read' };
    return first.kind === 'none' ? { kind: 'missing', reason: 'none of its bytes can be read' } : first;
  }

  async #peek(name: string, digest: Digest, range: ByteRange): Promise<Peek> {
    const answer = await this.#secondary.blobs.open(name, digest, ANSWER_TIMEOUT, range);
    if (answer.kind === 'missing' || answer.kind === 'unsatisfiable' || isNotStored(answer)) return { kind: 'none' };
    if (answer.kind !== 'found') return unknown(answer);
    return (await hasByte(answer.value.body)) ? { kind: 'byte', size: answer.value.size } : { kind: 'none' };
  }

  /** Reads to the end; a number where the body broke off there. */
  async #readOnce(name: string, digest: Digest, options: ReadingOptions): Promise<Finding | number> {
    const { signal, onRead = () => undefined } = options;
    const answer = await this.#secondary.blobs.open(name, digest, ANSWER_TIMEOUT);
    if (answer.kind === 'missing') return NOT_FOUND;
    if (isNotStored(answer)) return NOT_STORED;
    if (answer.kind !== 'found') return unknown(answer);
    const hash = hasherFor(digest);
    let position = 0;
    let isTooSlow = false;
    try {
      const { body } = answer.value;
      const tooSlow = (): void => {
        isTooSlow = true;
        body.destroy();
      };
      for await (const chunk of givenAtLeast(body as AsyncIterable<Buffer>, this.#leastRate, tooSlow)) {
        hash.update(chunk);
        position += chunk.length;
        onRead(chunk.length);
        await this.#rate(chunk.length, signal);
      }
    } catch {
      signal?.throwIfAborted();
      // The byte at which a slow body was left says nothing about the blob.
      return isTooSlow ? { kind: 'unknown', reason: 'the secondary is too slow' } : position;
    }
    return matches(digest, hash) ? WHOLE : { kind: 'damaged', reason: 'its bytes have another digest' };
  }
}
