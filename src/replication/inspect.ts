// Inspecting: whether a blob's bytes in the secondary are what its digest names, by a look at its end or by reading it.
import type { Readable } from 'node:stream';
import { givenAtLeast, LEAST_RATE, type LeastRate } from '../lib/least-rate.ts';
import type { Rate } from '../lib/rate.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestOf, hasherFor, matches, type Digest } from '../oci/digest.ts';
import type { ByteRange } from '../oci/range.ts';
import { failureText, isNotStored, type Failure } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';

/** What was found, `reason` for people. */
export interface Finding {
  /**
   * `missing`: no byte is there, so that an upload brings it back. `damaged`: other bytes are there. `doubtful`: of
   * another size than its manifest says, which anybody may write. `unknown`: the secondary did not say.
   */
  readonly kind: 'whole' | 'missing' | 'damaged' | 'doubtful' | 'unknown';
  readonly reason: string;
  /** What the secondary answered, where that leaves it unknown. */
  readonly failure?: Failure;
}

/** Inspects blobs of the secondary. Never throws for what a registry does. */
export interface Inspector {
  /** Looks at the size and at the last byte, since registries speak well of files that are short or gone. */
  look(name: string, blob: Pick<Descriptor, 'digest' | 'size'>): Promise<Finding>;
  /** Reads and hashes it, at the rate; rejects only when `signal` is aborted. `onRead` is told of the bytes. */
  read(name: string, digest: Digest, options?: ReadingOptions): Promise<Finding>;
  /** Whether the secondary answers as a registry that accepts us: only then what it says of a blob counts. */
  isAnswering(): Promise<boolean>;
}

/** @see Inspector.read */
export interface ReadingOptions {
  readonly signal?: AbortSignal;
  readonly onRead?: (bytes: number) => void;
}

/** What inspecting needs. */
export interface InspectDeps {
  readonly secondary: Registry;
  readonly rate: Rate;
}

const WHOLE: Finding = { kind: 'whole', reason: '' };
const NOT_THERE: Finding = { kind: 'missing', reason: 'the secondary does not have it' };
/** Not in a registry's words: it counts when it is said twice. */
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

/** @see Inspector; `timeout` in milliseconds to the headers of an answer. */
export function createInspector(
  deps: InspectDeps,
  { timeout = 30_000, leastRate = LEAST_RATE }: { timeout?: number; leastRate?: LeastRate } = {},
): Inspector {
  const { secondary, rate } = deps;

  async function isAnswering(): Promise<boolean> {
    try {
      const ping = await secondary.ping({ fresh: true });
      return ping.isRegistry && ping.acceptsUs;
    } catch {
      return false;
    }
  }

  async function peek(name: string, digest: Digest, range: ByteRange): Promise<Peek> {
    const answer = await secondary.blobs.open(name, digest, timeout, range);
    if (answer.kind === 'missing' || answer.kind === 'unsatisfiable' || isNotStored(answer)) return { kind: 'none' };
    if (answer.kind !== 'found') return unknown(answer);
    return (await hasByte(answer.value.body)) ? { kind: 'byte', size: answer.value.size } : { kind: 'none' };
  }

  async function lookOnce(name: string, { digest, size }: Pick<Descriptor, 'digest' | 'size'>): Promise<Finding> {
    const head = await secondary.blobs.head(name, digest, timeout);
    if (head.kind === 'missing') return NOT_THERE;
    if (isNotStored(head)) return NOT_STORED;
    if (head.kind !== 'found') return unknown(head);
    if (head.value.size === 0) {
      const isEmpty = digestOf(Buffer.alloc(0), algorithmOf(digest)) === digest;
      return isEmpty ? WHOLE : { kind: 'damaged', reason: 'its file is empty' };
    }
    const last = await peek(name, digest, { suffix: 1 });
    if (last.kind === 'byte') {
      const here = last.size ?? head.value.size;
      if (size === undefined || here === undefined || here === size) return WHOLE;
      return { kind: 'doubtful', reason: `it has ${here} bytes, its manifest says ${size}` };
    }
    if (last.kind !== 'none') return last;
    // A registry that remembers sizes speaks of files that are gone: of those no byte can be read at all.
    const first = await peek(name, digest, { start: 0, end: 0 });
    if (first.kind === 'byte') return { kind: 'damaged', reason: 'its last byte cannot be read' };
    return first.kind === 'none' ? { kind: 'missing', reason: 'none of its bytes can be read' } : first;
  }

  async function look(name: string, blob: Pick<Descriptor, 'digest' | 'size'>): Promise<Finding> {
    const finding = await lookOnce(name, blob);
    // A 404 in a registry's own words is sure.
    if (finding === NOT_THERE || (finding.kind !== 'missing' && finding.kind !== 'damaged')) return finding;
    // A registry that is being stopped breaks bodies off, too: what it says then does not count.
    if (!(await isAnswering())) return { kind: 'unknown', reason: 'the secondary does not answer' };
    return lookOnce(name, blob);
  }

  /** Reads to the end; a number where the body broke off there. */
  async function readOnce(name: string, digest: Digest, options: ReadingOptions): Promise<Finding | number> {
    const { signal, onRead = () => undefined } = options;
    const answer = await secondary.blobs.open(name, digest, timeout);
    if (answer.kind === 'missing') return NOT_THERE;
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
      for await (const chunk of givenAtLeast(body as AsyncIterable<Buffer>, leastRate, tooSlow)) {
        hash.update(chunk);
        position += chunk.length;
        onRead(chunk.length);
        await rate(chunk.length, signal);
      }
    } catch {
      signal?.throwIfAborted();
      // Where a slow body was left says nothing about the bytes.
      return isTooSlow ? { kind: 'unknown', reason: 'the secondary is too slow' } : position;
    }
    return matches(digest, hash) ? WHOLE : { kind: 'damaged', reason: 'its bytes have another digest' };
  }

  return {
    look,
    async read(name, digest, options = {}) {
      const first = await readOnce(name, digest, options);
      if (typeof first !== 'number') return first;
      const again = await readOnce(name, digest, options);
      if (typeof again !== 'number') return again;
      // Twice at one byte, from a registry that answers: that is its storage, not the connection.
      const isStorage = first === again && (await isAnswering());
      return { kind: isStorage ? 'damaged' : 'unknown', reason: `it breaks off at byte ${again}` };
    },
    isAnswering,
  };
}
