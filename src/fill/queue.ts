// The queue of fills: how long a client waits for a slot and for the primary's answer.
import { Claim, type Caller } from '../lib/claim.ts';
import { PRIORITIES, QueueFull, type Priority, type Ticket } from '../lib/slots.ts';
import { BUSY_HERE, type Answer, type Failure } from '../registry/answer.ts';
import type { BlobFill } from './blob-fill.ts';
import { SHUTTING_DOWN, type FillContext } from './context.ts';

/** The ticket of all who wait for one blob. */
export interface FillTicket extends Ticket {
  readonly claim: Claim;
}

/**
 * A ticket. When all who wait have left, a blob whose size is known, since a manifest names it, keeps its place behind
 * those that clients wait for; any other blob is given up.
 */
export function createTicket(priority: Priority, isKnown: () => boolean): FillTicket {
  const claim = new Claim(() => {
    if (ticket.priority === 'on-demand') ticket.priority = 'ahead';
    return isKnown();
  });
  const ticket: FillTicket = { priority, claim, isUnknown: priority === 'on-demand' && !isKnown() };
  return ticket;
}

/** Raises the priority of a fill to that of a caller who joins. */
export function promote({ slots, budget }: FillContext, ticket: Ticket, priority: Priority): void {
  if (PRIORITIES.indexOf(priority) < PRIORITIES.indexOf(ticket.priority)) ticket.priority = priority;
  // The caller may also have added its share to the ticket.
  slots.poke();
  budget.poke();
}

/** What `work` gives within `time` ms, or a failure for that reason. */
async function inTime<T>(work: Promise<T>, time: number, reason: string): Promise<T | Failure> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Failure>((resolve) => {
    timer = setTimeout(resolve, time, { kind: 'unavailable', reason: `${reason} in ${time} ms` });
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/**
 * Resolves when the fill can be read, or with why it cannot. A client is answered in time, also where the request began
 * in the background. @throws CallerLeft as soon as the caller has left.
 */
export function untilOpen(
  context: FillContext,
  fill: BlobFill,
  priority: Priority,
  caller: Caller,
): Promise<Answer<undefined>> {
  const { slotPatience, timeout } = context.options;
  return fill.ticket.claim.wait(caller, async () => {
    const isFirst = !fill.isBegun;
    const opening = fill.open();
    if (!isFirst) promote(context, fill.ticket, priority);
    // A recovered file needs neither a slot nor the primary.
    if (priority !== 'on-demand' || fill.name === undefined) return opening;
    const queued = await inTime(Promise.race([fill.source.hasSlot, opening]), slotPatience, 'no free slot');
    return queued ?? (isFirst ? opening : inTime(opening, timeout, 'no answer'));
  });
}

/** What an error means to those who wait for a fill. */
export function failureOf({ closing, log }: FillContext, { name, digest, ticket }: BlobFill, error: unknown): Failure {
  if (closing.aborted) return SHUTTING_DOWN;
  if (error instanceof QueueFull) return BUSY_HERE;
  if (ticket.claim.isAbandoned) return { kind: 'unavailable', reason: 'given up' };
  log.error({ repository: name, digest, err: error }, 'blob transfer could not begin');
  return { kind: 'unavailable', reason: String(error) };
}
