// F11: a local body that ends short goes on from the primary, and what can't be mended never looks complete.
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { LeastRate } from '../../src/lib/least-rate.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { MendedBody } from '../../src/proxy/mend.ts';
import { blob } from '../support/content.ts';

const { bytes, digest, size } = blob(300_000, 'mended');

interface Case {
  /** What the local registry sends, and how that ends. */
  readonly body: Readable;
  /** What the primary has; the blob's bytes when absent. */
  readonly primary?: (position: number) => AsyncIterable<Buffer>;
  readonly start?: number;
  /** Not known where null. */
  readonly until?: number | null;
  readonly leastRate?: LeastRate;
}

function piecesOf(content: Buffer, length = 10_000): Buffer[] {
  const count = Math.ceil(content.length / length);
  return Array.from({ length: count }, (_, nth) => content.subarray(nth * length, (nth + 1) * length));
}

/** A body of these bytes that ends, or that breaks off. */
function local(content: Buffer, failure?: Error): Readable {
  const pieces = piecesOf(content);
  return new Readable({
    read() {
      const piece = pieces.shift();
      if (piece) this.push(piece);
      else if (failure) this.destroy(failure);
      else this.push(null);
    },
  });
}

async function* primaryBytes(position: number): AsyncGenerator<Buffer> {
  yield* piecesOf(bytes.subarray(position));
}

async function* nothing(): AsyncGenerator<Buffer> {}

function mend({ body, primary = primaryBytes, start = 0, until = size, leastRate }: Case) {
  const seen: { damage: [number, unknown][]; whole: number[]; asked: number[]; signal?: AbortSignal } = {
    damage: [],
    whole: [],
    asked: [],
  };
  const mended = new MendedBody({
    digest: digest as Digest,
    body,
    start,
    until: until ?? undefined,
    leastRate,
    onward: (position, signal) => {
      seen.asked.push(position);
      seen.signal = signal;
      return primary(position);
    },
    onDamage: (position, cause) => seen.damage.push([position, cause]),
    onWhole: (whole) => seen.whole.push(whole),
  });
  return { mended, seen };
}

/** All that came, and whether it ended as it should. */
async function receive(stream: Readable): Promise<{ bytes: Buffer; error: unknown }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return { bytes: Buffer.concat(chunks), error: undefined };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error };
  }
}

const broken = new Error('other side closed');
const wrong = Buffer.from(bytes);
wrong.writeUInt8((bytes[5] ?? 0) ^ 1, 5);

describe.each([
  ['with a known end', size],
  ['without a known end', null],
])('a body %s', (_name, until) => {
  test('that is whole passes as it is', async () => {
    const { mended, seen } = mend({ body: local(bytes), until });
    expect((await receive(mended)).bytes.equals(bytes)).toBe(true);
    expect(seen).toEqual({ damage: [], whole: [size], asked: [] });
  });

  test.each([0, 1, 10_000, 123_456, size - 1])('that ends after %i bytes goes on from the primary', async (length) => {
    const { mended, seen } = mend({ body: local(bytes.subarray(0, length)), until });
    const received = await receive(mended);
    expect(received.error).toBeUndefined();
    expect(received.bytes.equals(bytes)).toBe(true);
    expect(seen).toMatchObject({ damage: [[length, undefined]], asked: [length], whole: [size] });
  });

  test('that breaks off goes on from the primary', async () => {
    const { mended, seen } = mend({ body: local(bytes.subarray(0, 50_000), broken), until });
    expect((await receive(mended)).bytes.equals(bytes)).toBe(true);
    expect(seen.damage).toEqual([[50_000, broken]]);
  });

  test('that brings a byte now and then goes on from the primary', async () => {
    let position = 0;
    const body = new Readable({
      read() {
        setTimeout(() => this.push(bytes.subarray(position, (position += 1))), 5);
      },
    });
    const { mended, seen } = mend({ body, until, leastRate: { bytes: 10_000, window: 100 } });
    expect((await receive(mended)).bytes.equals(bytes)).toBe(true);
    expect(seen).toMatchObject({ damage: [[expect.any(Number), new Error('too slow')]], whole: [size] });
  });

  test('that broke off before anybody listened goes on from the primary', async () => {
    const body = local(bytes);
    body.on('error', () => {}).destroy(broken);
    await new Promise((closed) => body.once('close', closed));
    const { mended, seen } = mend({ body, until });
    expect((await receive(mended)).bytes.equals(bytes)).toBe(true);
    expect(seen.damage).toEqual([[0, broken]]);
  });

  test('that the primary cannot help is reset', async () => {
    const gone = new Error('no primary');
    const primary = async function* (position: number): AsyncGenerator<Buffer> {
      yield bytes.subarray(position, position + 1_000);
      throw gone;
    };
    const { mended, seen } = mend({ body: local(bytes.subarray(0, 50_000)), primary, until });
    const received = await receive(mended);
    expect(received.error).toBe(gone);
    expect(received.bytes.length).toBeLessThan(size);
    expect(seen.whole).toEqual([]);
  });

  test('that the primary has no more of is reset', async () => {
    const { mended } = mend({ body: local(bytes.subarray(0, 50_000)), primary: nothing, until });
    const received = await receive(mended);
    expect(received.error).toBeInstanceOf(Error);
    expect(received.bytes.length).toBeLessThan(size);
  });

  test('that nobody takes is not read', async () => {
    let given = 0;
    const endless = new Readable({
      highWaterMark: 1,
      read() {
        given += 1;
        this.push(Buffer.alloc(10_000));
      },
    });
    const { mended } = mend({ body: endless, until: until && 10 ** 9 });
    await once(mended, 'readable');
    let before = -1;
    while (given !== before) {
      before = given;
      for (let turns = 0; turns < 20; turns += 1) await turn();
    }
    expect(given).toBeLessThan(100);
    mended.destroy();
  });
});

test('wrong bytes of a body without a known end are not given to their end', async () => {
  const { mended, seen } = mend({ body: local(wrong), primary: nothing, until: null });
  const received = await receive(mended);
  expect(received.error).toBeInstanceOf(Error);
  expect(received.bytes.length).toBeLessThan(size);
  expect(seen).toMatchObject({ damage: [[size, undefined]], whole: [] });
});

test('wrong bytes at the front and right ones behind do not make a blob', async () => {
  const { mended, seen } = mend({ body: local(wrong.subarray(0, 100_000)), until: null });
  const received = await receive(mended);
  expect(received.error).toBeInstanceOf(Error);
  expect(received.bytes.length).toBeLessThan(size);
  expect(seen.whole).toEqual([]);
});

test('a part goes on to the end of the part', async () => {
  const primary = async function* (position: number): AsyncGenerator<Buffer> {
    yield bytes.subarray(position, 90_000);
  };
  const { mended, seen } = mend({ body: local(bytes.subarray(20_000, 30_000)), primary, start: 20_000, until: 90_000 });
  expect((await receive(mended)).bytes.equals(bytes.subarray(20_000, 90_000))).toBe(true);
  expect(seen.asked).toEqual([30_000]);
});

test('a client that leaves ends both the local body and the primary’s', async () => {
  const body = local(bytes.subarray(0, 10));
  const never = async function* (): AsyncGenerator<Buffer> {
    await new Promise(() => {});
    yield bytes;
  };
  const { mended, seen } = mend({ body, primary: never });
  mended.resume();
  while (!seen.signal) await turn();
  mended.destroy();
  await once(mended, 'close');
  expect(seen.signal.aborted).toBe(true);
  expect(body.destroyed).toBe(true);
});
