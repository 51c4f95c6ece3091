import { expect, test, vi } from 'vitest';
import { CallerLeft, Claim, stayingCaller, type Caller } from '../../src/lib/claim.ts';
import { createSlots, QueueFull, type Priority, type Slots, type Ticket } from '../../src/lib/slots.ts';

/** A ticket in a share. */
function ticketOf(share: string, priority: Priority = 'on-demand'): Ticket {
  return { priority, claim: Claim.of(stayingCaller(share)) };
}

/** Takes a slot and notes in `order` when it has it. */
function take(slots: Slots, order: string[], name: string, ticket: Ticket): Promise<() => void> {
  return slots.take(ticket).then((giveBack) => {
    order.push(name);
    return giveBack;
  });
}

const settle = (): Promise<void> => new Promise((settled) => setImmediate(settled));

test('background holders get half of the slots, clients all that are free', async () => {
  const slots = createSlots(4);
  const order: string[] = [];
  for (const name of ['b1', 'b2', 'b3']) void take(slots, order, name, { priority: 'background' });
  for (const name of ['c1', 'c2', 'c3']) void take(slots, order, name, ticketOf(name));
  await settle();
  expect(order).toEqual(['b1', 'b2', 'c1', 'c2']);
});

test('clients go first, each priority in the order of arrival', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  const first = await take(slots, order, 'first', { priority: 'background' });
  const rest = ['b1', 'b2'].map((name) => take(slots, order, name, { priority: 'background' }));
  rest.push(...['c1', 'c2'].map((name) => take(slots, order, name, { priority: 'on-demand' })));
  for (const holder of rest) void holder.then((giveBack) => giveBack());
  first();
  await Promise.all(rest);
  expect(order).toEqual(['first', 'c1', 'c2', 'b1', 'b2']);
});

test('a raised ticket goes ahead once the queue is looked at again', async () => {
  const slots = createSlots(2);
  const order: string[] = [];
  await take(slots, order, 'background', { priority: 'background' });
  const waiting: Ticket = { priority: 'background' };
  void take(slots, order, 'raised', waiting);
  await settle();
  expect(order).toEqual(['background']);
  waiting.priority = 'on-demand';
  slots.poke();
  await settle();
  expect(order).toEqual(['background', 'raised']);
});

test('giving back twice gives back once', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  const giveBack = await take(slots, order, 'first', { priority: 'on-demand' });
  giveBack();
  giveBack();
  void take(slots, order, 'second', { priority: 'on-demand' });
  void take(slots, order, 'third', { priority: 'on-demand' });
  await settle();
  expect(order).toEqual(['first', 'second']);
});

test('one slot in all is not out of reach of the background', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  await take(slots, order, 'background', { priority: 'background' });
  expect(order).toEqual(['background']);
});

test('who is about to ask goes behind who waits, and before the background', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  const first = await take(slots, order, 'first', { priority: 'on-demand' });
  const ahead: Ticket = { priority: 'ahead' };
  const rest = [
    take(slots, order, 'background', { priority: 'background' }),
    take(slots, order, 'ahead', { priority: 'ahead' }),
    take(slots, order, 'asked for', ahead),
    take(slots, order, 'client', { priority: 'on-demand' }),
  ];
  ahead.priority = 'on-demand';
  slots.poke();
  for (const holder of rest) void holder.then((giveBack) => giveBack());
  first();
  await Promise.all(rest);
  expect(order).toEqual(['first', 'asked for', 'client', 'ahead', 'background']);
});

test('one more is given where it is free and nobody waits, half of all at the most', async () => {
  const slots = createSlots(4);
  const ticket: Ticket = { priority: 'on-demand' };
  await slots.take(ticket);
  const [first, second, third] = [slots.takeMore(ticket), slots.takeMore(ticket), slots.takeMore(ticket)];
  expect([first, second, third].map((giveBack) => giveBack !== undefined)).toEqual([true, true, false]);
  await slots.take(ticketOf('another'));
  const order: string[] = [];
  void take(slots, order, 'waiting', ticketOf('a third'));
  first!();
  expect(slots.takeMore(ticket)).toBeUndefined();
  await settle();
  expect(order).toEqual(['waiting']);
});

test('one more for the background is one of its half', async () => {
  const slots = createSlots(4);
  const ticket: Ticket = { priority: 'background' };
  await slots.take(ticket);
  const one = slots.takeMore(ticket);
  expect(one).toBeDefined();
  expect(slots.takeMore(ticket)).toBeUndefined();
  one!();
  await slots.take({ priority: 'background' });
  expect(slots.takeMore(ticket)).toBeUndefined();
});

test('a held slot is wanted by those who do not go behind its holder', async () => {
  const slots = createSlots(1);
  const [client, background]: Ticket[] = [{ priority: 'on-demand' }, { priority: 'background' }];
  const giveBack = await slots.take(client!);
  expect(slots.isWanted(client!)).toBe(false);
  void slots.take(background!);
  expect([client!, background!].map((ticket) => slots.isWanted(ticket))).toEqual([false, true]);
  void slots.take({ priority: 'on-demand' });
  expect([client!, background!].map((ticket) => slots.isWanted(ticket))).toEqual([true, true]);
  giveBack();
});

test('a slow holder gives way at once to a ticket that comes, and one holder does for each ticket', async () => {
  const slots = createSlots(2);
  const order: string[] = [];
  for (const name of ['first', 'second']) {
    const ticket = ticketOf(name);
    const giveBack = await slots.take(ticket);
    slots.offer(ticket, () => {
      order.push(`${name} gives way`);
      giveBack();
      void slots.takeAgain(Object.assign(ticket, { isSlow: true })).then(() => order.push(`${name} again`));
    });
  }
  expect(order).toEqual([]);
  const third = await slots.take(ticketOf('third'));
  expect(order).toEqual(['first gives way']);
  const fourth = await slots.take(ticketOf('fourth'));
  expect(order).toEqual(['first gives way', 'second gives way']);
  third();
  await settle();
  fourth();
  await settle();
  expect(order.slice(2)).toEqual(['first again', 'second again']);
});

test('a slow ticket goes behind those that come after it, for ten seconds', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const order: string[] = [];
    for (const wait of [9_000, 10_001]) {
      const slots = createSlots(1);
      const giveBack = await slots.take(ticketOf('holder'));
      void take(slots, order, 'slow', { ...ticketOf('slow'), isSlow: true });
      vi.advanceTimersByTime(wait);
      void take(slots, order, 'late', ticketOf('late'));
      giveBack();
      await settle();
    }
    expect(order).toEqual(['late', 'slow']);
  } finally {
    vi.useRealTimers();
  }
});

test('an offer that is taken back is not accepted, nor one by a ticket that goes behind it', async () => {
  const slots = createSlots(1);
  const ticket: Ticket = { priority: 'on-demand' };
  await slots.take(ticket);
  const gaveWay = vi.fn();
  const takeBack = slots.offer(ticket, gaveWay);
  void slots.take({ priority: 'background' });
  takeBack();
  void slots.take({ priority: 'on-demand' });
  expect(gaveWay).not.toHaveBeenCalled();
  slots.offer(ticket, gaveWay);
  expect(gaveWay).toHaveBeenCalledOnce();
});

/** Somebody who can leave. */
function leaver(share: string): Caller & { leave(): void } {
  const acts = new Set<() => void>();
  let hasLeft = false;
  return {
    share,
    get hasLeft() {
      return hasLeft;
    },
    onLeave(act) {
      acts.add(act);
      return () => void acts.delete(act);
    },
    leave() {
      hasLeft = true;
      for (const act of acts) act();
    },
  };
}

/** Runs all that waits to its end, one after the other. */
async function drain(first: () => void, waiting: readonly Promise<() => void>[]): Promise<void> {
  for (const holder of waiting) void holder.then((giveBack) => giveBack());
  first();
  await Promise.all(waiting);
}

test('a share that asks for much takes turns with one that asks for little', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  const first = await take(slots, order, 'first', ticketOf('much'));
  const waiting = ['m1', 'm2', 'm3', 'm4'].map((name) => take(slots, order, name, ticketOf('much')));
  waiting.push(...['l1', 'l2'].map((name) => take(slots, order, name, ticketOf('little'))));
  await drain(first, waiting);
  expect(order).toEqual(['first', 'l1', 'm1', 'l2', 'm2', 'm3', 'm4']);
});

test('the next slot is for the share that has the fewest, of equals for the one that was served longer ago', async () => {
  const slots = createSlots(4);
  const order: string[] = [];
  const held = await Promise.all(['m1', 'm2', 'm3'].map((name) => take(slots, order, name, ticketOf('much'))));
  await take(slots, order, 'l1', ticketOf('little'));
  for (const name of ['m4', 'm5']) void take(slots, order, name, ticketOf('much'));
  for (const name of ['l2', 'l3']) void take(slots, order, name, ticketOf('little'));
  void take(slots, order, 'n1', ticketOf('new'));
  for (const giveBack of held) giveBack();
  await settle();
  expect(order.slice(4)).toEqual(['n1', 'm4', 'l2']);
});

test('no share has more than three quarters of the slots', async () => {
  const slots = createSlots(8);
  const order: string[] = [];
  for (const name of ['m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7']) void take(slots, order, name, ticketOf('much'));
  for (const name of ['l1', 'l2', 'l3']) void take(slots, order, name, ticketOf('little'));
  await settle();
  expect(order).toEqual(['m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'l1', 'l2']);
});

test('what several shares wait for has the turn of the one that comes first', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  const first = await take(slots, order, 'first', ticketOf('much'));
  const shared = ticketOf('much');
  const waiting = ['m1', 'm2'].map((name) => take(slots, order, name, ticketOf('much')));
  waiting.push(take(slots, order, 'shared', shared));
  shared.claim!.join(stayingCaller('little'));
  await drain(first, waiting);
  expect(order).toEqual(['first', 'shared', 'm1', 'm2']);
});

test('what all have left is no longer in the queue, and what somebody still waits for is', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  const first = await take(slots, order, 'first', ticketOf('a'));
  const [one, other] = [leaver('a'), leaver('a')];
  const [alone, shared] = [new Claim(), new Claim()];
  alone.join(one);
  for (const caller of [one, other]) shared.join(caller);
  const left = take(slots, order, 'alone', { priority: 'on-demand', claim: alone });
  const kept = take(slots, order, 'shared', { priority: 'on-demand', claim: shared });
  one.leave();
  await expect(left).rejects.toBeInstanceOf(CallerLeft);
  await drain(first, [kept]);
  expect(order).toEqual(['first', 'shared']);
});

test('what nothing says exists has half of the slots, and more once it is known to', async () => {
  const slots = createSlots(4);
  const order: string[] = [];
  const unknown = ['u1', 'u2', 'u3'].map((name) => ({ ...ticketOf(name), isUnknown: true }));
  for (const [nth, ticket] of unknown.entries()) void take(slots, order, `u${nth + 1}`, ticket);
  void take(slots, order, 'known', ticketOf('known'));
  await settle();
  expect(order).toEqual(['u1', 'u2', 'known']);
  unknown[0]!.isUnknown = false;
  slots.poke();
  await settle();
  expect(order).toEqual(['u1', 'u2', 'known', 'u3']);
});

test('a share that has very many waiting is refused more, and another is not', async () => {
  const slots = createSlots(1, { waitingMax: 2 });
  const order: string[] = [];
  const first = await take(slots, order, 'first', ticketOf('much'));
  const waiting = ['m1', 'm2'].map((name) => take(slots, order, name, ticketOf('much')));
  await expect(slots.take(ticketOf('much'))).rejects.toBeInstanceOf(QueueFull);
  waiting.push(take(slots, order, 'little', ticketOf('little')));
  await drain(first, waiting);
  expect(order).toEqual(['first', 'little', 'm1', 'm2']);
});

test('a slot that becomes free, and that no ticket waits for, is told of', async () => {
  const slots = createSlots(1);
  const told = vi.fn();
  slots.onFree(told);
  const first = await slots.take(ticketOf('first'));
  const waiting = slots.take(ticketOf('second'));
  first();
  expect(told).not.toHaveBeenCalled();
  (await waiting)();
  expect(told).toHaveBeenCalledOnce();
});
