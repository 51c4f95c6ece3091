// The source of a blob: the primary's body, taken up again at the byte reached when the connection breaks.
import type { Hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { unlessAborted } from '../lib/abort.ts';
import { LEAST_RATE, watchRate, watchSlow, type LeastRate } from '../lib/least-rate.ts';
import type { BlobBody } from '../registry/blob.ts';
import type { Answer } from '../registry/answer.ts';
import type { Bound } from './bound.ts';
import { Overlong } from './digest-mismatch.ts';
import type { Turn } from './turn.ts';

/** Opens the body at a byte, up to the byte `until` where that is not its end, with a fresh token and a fresh redirect. */
export type OpenAt = (position: number, until?: number) => Promise<Answer<BlobBody>>;

/** How a source is read. */
export interface SourceOptions {
  /** The first byte that is wanted. */
  readonly from: number;
  /** The byte after the last that is wanted; undefined: to the end, wherever it is. */
  readonly until?: number | undefined;
  /** The whole blob's size in bytes: what speaks of another is another blob. */
  readonly size?: number | undefined;
  readonly onBytes?: ((count: number) => void) | undefined;
  readonly onResume?: ((position: number, cause: unknown) => void) | undefined;
  /** Resolves when more bytes may be taken after so many; nothing is read meanwhile, and it is no trouble of the source. */
  readonly pace?: ((count: number, signal: AbortSignal | undefined) => Promise<void>) | undefined;
  /** How many bytes there may be where nothing tells the end; any number where absent. */
  readonly bound?: Bound | undefined;
  /** The slot of its connection; it is kept, however slow that is, where absent. */
  readonly turn?: Turn | undefined;
  readonly rates?: SourceRates | undefined;
  /** Whether bytes before the first may be read again, and thrown away, where a part cannot be had; so unless told. */
  readonly rereads?: boolean | undefined;
  /** How long (ms) it is tried again without progress in between. */
  readonly patience?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a body has to bring in the time in which it is waited for. */
export interface SourceRates {
  /** One that brings less has broken off; and so many bytes are progress. */
  readonly least: LeastRate;
  /** One that brings less gives its slot to those who wait for it. */
  readonly shared: LeastRate;
}

/** {@link SourceRates} unless others are given. Clients wait for a first byte: what is slow is known to be within seconds. */
export const SOURCE_RATES: SourceRates = { least: LEAST_RATE, shared: { bytes: 16 * 1024, window: 2_000 } };

/** The source could not be read to its end; `cause` says why. */
export class SourceFailed extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SourceFailed';
  }
}

/** A body was left for those who wait for its slot. */
export class GaveWay extends Error {}

// A registry that is started anew is back within this; a client that gets no byte for longer is better off told.
const PATIENCE = 30_000;
// The first try comes at once, then after 100 ms, doubling, 2 s at the most.
const PAUSE = 100;
const PAUSE_MAX = 2_000;

function pauseBefore(attempt: number): number {
  return attempt === 0 ? 0 : Math.min(PAUSE_MAX, PAUSE * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

function discard(late: Answer<BlobBody>): void {
  if (late.kind === 'found') late.value.body.destroy();
}

/** What passes: the primary is away or busy. What it says of the blob itself is final. */
function isPassing(answer: Exclude<Answer<BlobBody>, { kind: 'found' }>): boolean {
  return answer.kind === 'unavailable' || answer.kind === 'busy';
}

/**
 * The bytes from `from` to `until`, resumed as often as there is progress in between.
 * @throws SourceFailed when it cannot go on: gone, changed in size, no progress for too long, or aborted; Overlong.
 */
export async function* readSource(
  first: BlobBody | undefined,
  open: OpenAt,
  options: SourceOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { signal, size, onBytes, onResume, pace, bound, turn } = options;
  const { rates = SOURCE_RATES, patience = PATIENCE, rereads = true } = options;
  let { from: position, until } = options;
  let most = bound?.bytes ?? Infinity;
  let brokeAt: number | undefined;
  let attempts = 0;
  let isReread = false;
  // Bytes since then: a byte now and then is none.
  let progress = 0;

  function came(count: number): void {
    position += count;
    progress += count;
    onBytes?.(count);
    if (progress < rates.least.bytes) return;
    progress = 0;
    brokeAt = undefined;
    attempts = 0;
  }

  // The body that is waited for, and the offer of its slot: slow is the primary, whatever body it sends.
  let asked: BlobBody['body'] | undefined;
  let takeBack: (() => void) | undefined;
  const endOffer = (): void => {
    takeBack?.();
    takeBack = undefined;
  };
  const slow =
    turn &&
    watchSlow(rates.shared, () => asked !== undefined, {
      onSlow: () => (takeBack ??= turn.offer(() => asked?.destroy(new GaveWay()))),
      onBytes: endOffer,
    });

  /** Gives one body's bytes from `position` on; returns why it broke, undefined when it came to its own end. */
  async function* bytesOf(opened: BlobBody): AsyncGenerator<Buffer, unknown, undefined> {
    const { body, start, end = Infinity } = opened;
    const stop = (): void => void body.destroy();
    // What comes behind the end that it has told is not the blob's.
    const stopAt = Math.min(until ?? Infinity, end + 1);
    asked = body;
    const least = watchRate(
      rates.least,
      () => asked !== undefined,
      () => body.destroy(new SourceFailed('too slow')),
    );
    signal?.addEventListener('abort', stop);
    try {
      if (start > position) return new SourceFailed(`asked for byte ${position}, got byte ${start}`);
      let at = start;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        asked = undefined;
        least.count(chunk.length);
        slow?.count(chunk.length);
        // A registry may ignore a Range: what comes before it is thrown away.
        const wanted = chunk.subarray(Math.max(0, position - at), Math.max(0, stopAt - at));
        at += chunk.length;
        if (wanted.length > 0) {
          came(wanted.length);
          if (until === undefined && position > most) most = await bound!.raise(position);
          yield wanted;
          await pace?.(wanted.length, signal);
        }
        // A body that ends here is read to its end: its connection can be used again then.
        if (at > stopAt || (at === stopAt && end !== at - 1)) break;
        asked = body;
      }
      return undefined;
    } catch (error) {
      if (error instanceof Overlong) throw error;
      return error;
    } finally {
      asked = undefined;
      endOffer();
      least.stop();
      signal?.removeEventListener('abort', stop);
      body.destroy();
    }
  }

  function check(opened: BlobBody): void {
    if (opened.size === undefined) return;
    const least = Math.max(position, until ?? 0);
    if (size === undefined ? opened.size >= least : opened.size === size) return;
    opened.body.destroy();
    throw new SourceFailed('the blob’s size changed');
  }

  async function reopen(): Promise<Answer<BlobBody>> {
    try {
      return await unlessAborted(open(position, until === size ? undefined : until), signal, discard);
    } catch (error) {
      throw new SourceFailed(signal?.aborted ? 'stopped' : 'cannot be opened', error);
    }
  }

  /** Lets others have the slot; the time that takes is no trouble of the source. */
  async function giveWay(isSlow: boolean): Promise<void> {
    const since = performance.now();
    await turn?.pass(signal, isSlow);
    if (brokeAt !== undefined) brokeAt += performance.now() - since;
  }

  try {
    let next: Answer<BlobBody> | undefined = first && { kind: 'found', value: first };
    for (;;) {
      const answer: Answer<BlobBody> = next ?? (await reopen());
      next = undefined;
      let cause: unknown;
      if (answer.kind === 'found') {
        const { value } = answer;
        check(value);
        const before = position;
        cause = yield* bytesOf(value);
        // Without a size a part's end says nothing about the blob's.
        if (until === undefined ? cause === undefined : position === until) return;
        until ??= value.size;
        // It was a part, and all of it came: there is more where that was.
        if (cause === undefined && position > before && position - 1 === value.end) continue;
      } else {
        // Without a size the end shows only by there being nothing behind it.
        if (answer.kind === 'unsatisfiable' && until === undefined) return;
        if (answer.kind === 'unsatisfiable' && rereads && !isReread) {
          // It took a range before, and does not now: all of it, then, up to where this goes on.
          isReread = true;
          next = await unlessAborted(open(0), signal, discard);
          continue;
        }
        cause = new SourceFailed(answer.kind === 'unavailable' ? answer.reason : answer.kind);
        if (!isPassing(answer)) throw cause;
      }
      if (signal?.aborted) throw new SourceFailed('stopped', signal.reason);
      if (cause instanceof GaveWay) {
        await giveWay(true);
        continue;
      }
      brokeAt ??= performance.now();
      if (performance.now() - brokeAt > patience) throw new SourceFailed('no progress', cause);
      onResume?.(position, cause);
      await delay(pauseBefore(attempts), undefined, signal && { signal }).catch(() => undefined);
      attempts += 1;
      if (turn?.isWanted()) await giveWay(false);
    }
  } finally {
    slow?.stop();
  }
}

/** Passes bytes on, the last chunk only when `judge` has accepted the hash of all. @throws what `judge` throws. */
export async function* heldBack(
  source: AsyncIterable<Buffer>,
  hash: Hash,
  judge: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer | undefined;
  for await (const chunk of source) {
    hash.update(chunk);
    if (held) yield held;
    held = chunk;
  }
  judge();
  if (held) yield held;
}
