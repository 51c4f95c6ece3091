import { expect, test } from 'vitest';
import { unlessAborted } from '../../src/lib/abort.ts';

const settle = (): Promise<void> => new Promise((settled) => setImmediate(settled));

test('without an end in between it is the work itself', async () => {
  const late: unknown[] = [];
  const { signal } = new AbortController();
  const keep = (value: unknown): void => void late.push(value);
  expect(await unlessAborted(Promise.resolve(1), signal, keep)).toBe(1);
  expect(await unlessAborted(Promise.resolve(2), undefined, keep)).toBe(2);
  await expect(unlessAborted(Promise.reject(new Error('no')), signal, keep)).rejects.toThrow('no');
  expect(late).toEqual([]);
});

test.each(['before', 'meanwhile'])(
  'an end %s rejects with its reason, and what comes late is taken care of',
  async (when) => {
    const late: unknown[] = [];
    const control = new AbortController();
    const work = Promise.withResolvers<number>();
    if (when === 'before') control.abort(new Error('over'));
    const left = unlessAborted(work.promise, control.signal, (value) => late.push(value));
    if (when === 'meanwhile') control.abort(new Error('over'));
    await expect(left).rejects.toThrow('over');
    work.resolve(7);
    await settle();
    expect(late).toEqual([7]);
  },
);

test('an error that comes late is nobody’s', async () => {
  const control = new AbortController();
  const work = Promise.withResolvers<number>();
  const left = unlessAborted(work.promise, control.signal, () => {});
  control.abort(new Error('over'));
  await expect(left).rejects.toThrow('over');
  work.reject(new Error('late'));
  // Were it unhandled, this run would fail.
  await settle();
});
