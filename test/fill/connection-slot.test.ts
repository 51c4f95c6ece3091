import { expect, test } from 'vitest';
import { FillSlot } from '../../src/fill/connection-slot.ts';
import { Claim, stayingCaller } from '../../src/lib/claim.ts';
import { createSlots, QueueFull, type Ticket } from '../../src/lib/slots.ts';

const ticketOf = (share: string): Ticket => ({ priority: 'on-demand', claim: Claim.of(stayingCaller(share)) });

test('a fill that gives its slot up gets another, however many of its share wait', async () => {
  const slots = createSlots(1, { waitingMax: 1 });
  const ticket = ticketOf('farm');
  const slot = new FillSlot(slots, ticket, await slots.take(ticket));
  const next = slots.take(ticketOf('farm'));
  const other = slots.take(ticketOf('other'));
  await expect(slots.take(ticketOf('farm'))).rejects.toBeInstanceOf(QueueFull);

  const passed = slot.pass(undefined, false);
  for (const waiting of [other, next]) (await waiting)();
  await passed;
  slot.leave();
  (await slots.take(ticketOf('farm')))();
});
