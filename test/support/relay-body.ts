// The body of a relayed answer: sent with back-pressure, counted, and shaped by the rule.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RelayRule } from './relay-rule.ts';

export interface BodyTransfer {
  readonly source: Readable;
  readonly target: ServerResponse;
  readonly rule: RelayRule;
  /** Aborted when the client's connection has ended. */
  readonly gone: AbortSignal;
  /** Told of all bytes that are handed to the connection. */
  readonly count: (bytes: number) => void;
}

/** The body in pieces that end exactly where the rule wants something to happen, each with its offset. */
async function* pieces(source: Readable, rule: RelayRule): AsyncGenerator<[offset: number, piece: Buffer]> {
  const hangAt = typeof rule.hang === 'number' ? rule.hang : undefined;
  const borders = [rule.holdAfter, rule.cutAfter, hangAt].filter((border) => border !== undefined);
  // A limited body flows in small pieces, 50 a second.
  const largest = rule.bytesPerSecond === undefined ? Infinity : Math.max(1, Math.floor(rule.bytesPerSecond / 50));
  let offset = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    let rest = chunk;
    while (rest.length > 0) {
      const next = Math.min(...borders.filter((border) => border > offset), offset + Math.min(rest.length, largest));
      const piece = rest.subarray(0, next - offset);
      rest = rest.subarray(piece.length);
      yield [offset, piece];
      offset += piece.length;
    }
  }
}

function corrupted(piece: Buffer, index: number): Buffer {
  if (index < 0 || index >= piece.length) return piece;
  const copy = Buffer.from(piece);
  copy.writeUInt8(copy.readUInt8(index) ^ 1, index);
  return copy;
}

/** Resolves when the piece was handed to the operating system, so that destroying the connection loses none of it. */
function write({ target, gone }: BodyTransfer, piece: Buffer): Promise<void> {
  return new Promise((settle, reject) => {
    gone.throwIfAborted();
    const leave = (): void => reject(gone.reason);
    gone.addEventListener('abort', leave, { once: true });
    target.write(piece, (error) => {
      gone.removeEventListener('abort', leave);
      if (error) reject(error);
      else settle();
    });
  });
}

/** What the rule wants at this offset: to hold, to hang, or to cut (thrown). */
async function pauseAt(offset: number, { rule, gone, target }: BodyTransfer): Promise<void> {
  if (offset === rule.holdAfter) await rule.holdGate?.pass(gone);
  if (offset === rule.hang) {
    if (!gone.aborted) await once(target, 'close');
    throw new Error('hung until the client left');
  }
  if (offset === rule.cutAfter) throw new Error('cut by a rule');
}

/** Sends the body and ends the answer; throws when it was cut, by the rule, by the source or by the client. */
export async function sendBody(transfer: BodyTransfer): Promise<void> {
  const { source, target, rule, gone, count } = transfer;
  const { corruptAt = -1, bytesPerSecond } = rule;
  await pauseAt(0, transfer);
  for await (const [offset, piece] of pieces(source, rule)) {
    count(piece.length);
    await write(transfer, corrupted(piece, corruptAt - offset));
    if (bytesPerSecond !== undefined) await sleep((piece.length / bytesPerSecond) * 1000, undefined, { signal: gone });
    await pauseAt(offset + piece.length, transfer);
  }
  await finished(target.end());
}
