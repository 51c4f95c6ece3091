// A bounded number of slots, shared fairly among those who ask, half of them out of reach of background work.
import { BACKGROUND, Claim } from './claim.ts';
import { FairQueue, WAITING_MAX, type Waiter as Queued } from './fair-queue.ts';

/** Who asks: a client is waiting; one is about to ask; or nobody is. */
export type Priority = 'on-demand' | 'ahead' | 'background';

/** All priorities, the first first. */
export const PRIORITIES: readonly Priority[] = ['on-demand', 'ahead', 'background'];

function rankOf(priority: Priority): number {
  return PRIORITIES.indexOf(priority);
}

/**
 * Takes slots; each is given back by the function that is given, which does nothing when it is called again. No share
 * gets more than three quarters of the slots, so that another one does not wait for its transfers to end.
 */
export interface Slots {
  /**
   * Waits for a slot. Of one priority the share with the fewest slots goes first. @throws QueueFull where too many of the
   * same share wait already, CallerLeft when all who wait for the ticket have left.
   */
  take(ticket: Ticket): Promise<() => void>;
  /** As `take` for somebody who gave a slot up for others: however many wait. @throws CallerLeft */
  takeAgain(ticket: Ticket): Promise<() => void>;
  /**
   * One more slot for somebody who has one, if there is one that nobody waits for; all such together get half of the
   * slots at the most, so that others who come find some.
   */
  takeMore(ticket: Ticket): (() => void) | undefined;
  /** A slot if one is free that nobody waits for, whoever has how many: for a moment only. */
  takeFree(ticket: Ticket): (() => void) | undefined;
  /** Whether somebody who does not go behind this ticket waits for the slot that it holds. */
  isWanted(ticket: Ticket): boolean;
  /** Looks at the queue again after a ticket has changed. */
  poke(): void;
}

/** A place in the queue; raising its priority while it waits moves it ahead. */
export interface Ticket {
  priority: Priority;
  /** Who waits; without it nobody who could leave, in the background's share. */
  readonly claim?: Claim;
  /**
   * Nothing says that what is asked for exists: such have half of the slots at the most, so that questions for digests
   * that somebody made up hold up nothing that is known.
   */
  isUnknown?: boolean;
}

/** Too many of one share wait. */
export class QueueFull extends Error {
  constructor() {
    super('too many wait for a slot');
    this.name = 'QueueFull';
  }
}

const NOBODY = Claim.of(BACKGROUND);

const claimOf = ({ claim }: Ticket): Claim => claim ?? NOBODY;

interface Waiter extends Queued {
  readonly ticket: Ticket;
  readonly admit: () => void;
}

/** Slots for `total` holders; background holders get half of them at the most, and on-demand ones go first. */
export function createSlots(total: number, { waitingMax = WAITING_MAX }: { waitingMax?: number } = {}): Slots {
  const half = Math.floor(total / 2);
  const halfOrOne = Math.max(1, half);
  const shareMax = total - Math.floor(total / 4);
  const queue = new FairQueue<Waiter>();
  const unknown = new Set<Ticket>();
  let held = 0;
  let background = 0;
  let more = 0;

  const unknownHeld = (): number => {
    let count = 0;
    for (const { isUnknown } of unknown) if (isUnknown) count += 1;
    return count;
  };

  /** Whether there is a slot for such a ticket, whoever has how many. */
  const isFree = ({ priority, isUnknown }: Pick<Ticket, 'priority' | 'isUnknown'>): boolean =>
    held < total && (priority !== 'background' || background < halfOrOne) && (!isUnknown || unknownHeld() < halfOrOne);

  const fits = (ticket: Ticket): boolean => isFree(ticket) && queue.inService(claimOf(ticket)) < shareMax;

  const poke = (): void => {
    for (const priority of PRIORITIES) {
      while (isFree({ priority })) {
        // Thousands may wait: what is the same for all of them is found out once.
        const isForUnknown = isFree({ priority, isUnknown: true });
        const waiter = queue.next(
          shareMax,
          ({ ticket }) => ticket.priority === priority && (isForUnknown || !ticket.isUnknown),
        );
        if (!waiter) break;
        queue.remove(waiter);
        waiter.admit();
      }
    }
  };

  const hold = (ticket: Ticket, isMore = false): (() => void) => {
    const asBackground = ticket.priority === 'background';
    const served = queue.serve(claimOf(ticket));
    held += 1;
    if (asBackground) background += 1;
    if (isMore) more += 1;
    if (ticket.isUnknown) unknown.add(ticket);
    let free = false;
    return () => {
      if (free) return;
      free = true;
      served();
      held -= 1;
      if (asBackground) background -= 1;
      if (isMore) more -= 1;
      unknown.delete(ticket);
      poke();
    };
  };

  function wait(ticket: Ticket): Promise<() => void> {
    const claim = claimOf(ticket);
    return new Promise((resolve, reject) => {
      const { signal } = claim;
      const leave = (): void => {
        if (queue.remove(waiter)) reject(signal.reason as Error);
      };
      const admit = (): void => {
        signal.removeEventListener('abort', leave);
        resolve(hold(ticket));
      };
      const waiter: Waiter = { claim, ticket, admit };
      queue.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
    });
  }

  function takeAgain(ticket: Ticket): Promise<() => void> {
    if (fits(ticket) && !claimOf(ticket).isAbandoned) return Promise.resolve(hold(ticket));
    return wait(ticket);
  }

  return {
    take(ticket) {
      const isFull = !fits(ticket) && queue.waitingBeside(claimOf(ticket)) >= waitingMax;
      return isFull ? Promise.reject(new QueueFull()) : takeAgain(ticket);
    },
    takeAgain,
    // Whoever waits and fits was admitted when the slot became free: what is free nobody waits for.
    takeMore: (ticket) => (more < half && fits(ticket) ? hold(ticket, true) : undefined),
    takeFree: (ticket) => (isFree(ticket) ? hold(ticket) : undefined),
    isWanted: ({ priority }) => queue.has(({ ticket }) => rankOf(ticket.priority) <= rankOf(priority)),
    poke,
  };
}
