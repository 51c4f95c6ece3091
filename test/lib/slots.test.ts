import { expect, test } from 'vitest';
import { createSlots, type Slots, type Ticket } from '../../src/lib/slots.ts';

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
  for (const name of ['c1', 'c2', 'c3']) void take(slots, order, name, { priority: 'on-demand' });
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
  await slots.take({ priority: 'on-demand' });
  const order: string[] = [];
  void take(slots, order, 'waiting', { priority: 'on-demand' });
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
  expect([client!, background!].map(slots.isWanted)).toEqual([false, true]);
  void slots.take({ priority: 'on-demand' });
  expect([client!, background!].map(slots.isWanted)).toEqual([true, true]);
  giveBack();
});
