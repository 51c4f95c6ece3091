import { expect, test } from 'vitest';
import { BACKGROUND, Claim, stayingCaller } from '../../src/lib/claim.ts';
import { createPlaces, type Places, type PlacesOptions } from '../../src/lib/places.ts';
import { createSlots } from '../../src/lib/slots.ts';

const settle = (): Promise<void> => new Promise((settled) => setImmediate(settled));
const none: PlacesOptions = { own: 1, total: 4, lend: () => undefined, patience: 60_000 };

/** Work that has begun, and how each of it ends. */
function startWork(places: Places): { begin(name: string): Promise<string>; running: Map<string, () => void> } {
  const running = new Map<string, () => void>();
  const begin = (name: string): Promise<string> =>
    places.runFor(
      BACKGROUND,
      () => new Promise((resolve) => running.set(name, () => void (running.delete(name), resolve(name)))),
      'late',
    );
  return { begin, running };
}

test('what finds no place waits its turn', async () => {
  const { begin, running } = startWork(createPlaces(none));
  const all = ['first', 'second', 'third'].map(begin);
  for (const name of ['first', 'second', 'third']) {
    await settle();
    expect([...running.keys()]).toEqual([name]);
    running.get(name)!();
  }
  expect(await Promise.all(all)).toEqual(['first', 'second', 'third']);
});

test('what waits for too long is told so, and leaves the others their places', async () => {
  const { begin, running } = startWork(createPlaces({ ...none, patience: 20 }));
  const first = begin('first');
  expect(await begin('second')).toBe('late');
  running.get('first')!();
  expect(await first).toBe('first');
  void begin('third');
  await settle();
  expect([...running.keys()]).toEqual(['third']);
});

test('places that others do not use are lent, up to the total, and come back', async () => {
  const slots = createSlots(8);
  const lend = (claim: Claim): (() => void) | undefined => slots.takeFree({ priority: 'on-demand', claim });
  const { begin, running } = startWork(createPlaces({ ...none, total: 3, lend }));
  const all = ['a', 'b', 'c', 'd'].map(begin);
  await settle();
  expect([...running.keys()]).toEqual(['a', 'b', 'c']);
  for (const end of running.values()) end();
  await settle();
  running.get('d')!();
  await Promise.all(all);
  const held = Array.from({ length: 8 }, () => slots.takeFree({ priority: 'on-demand' }));
  expect(held.every((giveBack) => giveBack !== undefined)).toBe(true);
  void begin('own');
  void begin('no more');
  await settle();
  expect([...running.keys()]).toEqual(['own']);
});

test('what waits has a place as soon as others have no more use for theirs', async () => {
  const slots = createSlots(1);
  const lend: PlacesOptions['lend'] = (claim) => slots.takeFree({ priority: 'on-demand', claim });
  const giveBack = await slots.take({ priority: 'on-demand' });
  const { begin, running } = startWork(createPlaces({ ...none, lend, onLendable: (act) => slots.onFree(act) }));
  for (const name of ['own', 'lent']) void begin(name);
  await settle();
  expect([...running.keys()]).toEqual(['own']);
  giveBack();
  await settle();
  expect([...running.keys()]).toEqual(['own', 'lent']);
});

test('work that fails gives its place back', async () => {
  const places = createPlaces(none);
  await expect(places.runFor(BACKGROUND, () => Promise.reject(new Error('failed')), 'late')).rejects.toThrow('failed');
  expect(await places.runFor(BACKGROUND, async () => 'next', 'late')).toBe('next');
});

test('work whose callers of one share have left holds up no other share', async () => {
  const places = createPlaces({ own: 6, total: 6, shareMax: 2, patience: 60_000 });
  const ends: (() => void)[] = [];
  const begun: string[] = [];
  const work = (name: string) => (): Promise<string> => {
    begun.push(name);
    return new Promise((resolve) => ends.push(() => resolve(name)));
  };
  const begin = (share: string, name: string): void => void places.runFor(stayingCaller(share), work(name), 'late');
  for (const name of ['a1', 'a2', 'b1', 'b2']) begin(name[0]!, name);
  const shared = new Claim();
  const leave = shared.join(stayingCaller('a'));
  shared.join(stayingCaller('b'));
  void places.run(shared, work('shared'), 'late');
  leave();
  for (const end of ends.splice(0, 2)) end();
  await settle();
  for (const name of ['d1', 'd2']) begin('d', name);
  await settle();
  expect(begun).toEqual(['a1', 'a2', 'b1', 'b2', 'shared', 'd1', 'd2']);
});
