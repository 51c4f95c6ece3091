// A bounded number of slots, shared fairly among those who ask, half of them out of reach of background work.
import { BACKGROUND, Claim } from './claim.ts';
import { FairQueue, WAITING_MAX, type Waiter as Queued } from './fair-queue.ts';
import { Offers } from './offers.ts';

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
  /**
   * Offers a slot that brings next to nothing: `giveWay` is called once, now or later, when another ticket waits that
   * does not go behind this one and is not slow itself. Gives the function that takes the offer back.
   */
  offer(ticket: Ticket, giveWay: () => void): () => void;
  /** Looks at the queue again after a ticket has changed. */
  poke(): void;
  /** Calls `act` whenever a slot has become free that no ticket waits for. */
  onFree(act: () => void): void;
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
  /** What it brought when it held a slot was next to nothing: for a while it goes behind all others of its priority. */
  isSlow?: boolean;
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

// How long (ms) a slow ticket goes behind the others: in the end it has its turn as well.
const SLOW_WAIT = 10_000;

interface Waiter extends Queued {
  readonly ticket: Ticket;
  readonly since: number;
  readonly admit: () => void;
}

/** Slots for `total` holders; background holders get half of them at the most, and on-demand ones go first. */
export function createSlots(total: number, { waitingMax = WAITING_MAX }: { waitingMax?: number } = {}): Slots {
  const half = Math.floor(total / 2);
  const halfOrOne = Math.max(1, half);
  const shareMax = total - Math.floor(total / 4);
  const queue = new FairQueue<Waiter>();
  const unknown = new Set<Ticket>();
  const offers = new Offers();
  const whenFree: (() => void)[] = [];
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

  const isLast = ({ ticket, since }: Waiter): boolean =>
    Boolean(ticket.isSlow) && performance.now() - since < SLOW_WAIT;

  const next = (priority: Priority): Waiter | undefined => {
    // Thousands may wait: what is the same for all of them is found out once.
    const isForUnknown = isFree({ priority, isUnknown: true });
    const isNext = ({ ticket }: Waiter): boolean => ticket.priority === priority && (isForUnknown || !ticket.isUnknown);
    return queue.next(shareMax, (waiter) => isNext(waiter) && !isLast(waiter)) ?? queue.next(shareMax, isNext);
  };

  const poke = (): void => {
    for (const priority of PRIORITIES) {
      while (isFree({ priority })) {
        const waiter = next(priority);
        if (!waiter) break;
        queue.remove(waiter);
        waiter.admit();
      }
    }
  };

  /** Whether a waiter could have the slot of a ticket that gives it up. */
  const couldFollow = ({ ticket, claim }: Waiter, holder: Ticket): boolean => {
    if (rankOf(ticket.priority) > rankOf(holder.priority)) return false;
    const isAllowedNow =
      (ticket.priority !== 'background' || holder.priority === 'background' || background < halfOrOne) &&
      (!ticket.isUnknown || holder.isUnknown || unknownHeld() < halfOrOne);
    return isAllowedNow && (queue.inService(claim) < shareMax || claim.sharesWith(claimOf(holder)));
  };

  /** Has slow holders give way, as many as others wait for their slots; only those that suit a waiter that has just come. */
  const makeWay = (newcomer?: Waiter): void => {
    if (offers.isEmpty) return;
    const isWaiting = (waiter: Waiter, holder: Ticket): boolean => !isLast(waiter) && couldFollow(waiter, holder);
    offers.accept(({ ticket }, atLeast) => {
      // Thousands may wait that could not have the slot: they are not counted for each that comes.
      if (newcomer && !isWaiting(newcomer, ticket)) return false;
      return queue.hasMany(atLeast, (waiter) => isWaiting(waiter, ticket));
    });
  };

  const hold = (ticket: Ticket, isMore = false): (() => void) => {
    const asBackground = ticket.priority === 'background';
    const served = queue.serve(claimOf(ticket));
    held += 1;
    if (asBackground) background += 1;
    if (isMore) more += 1;
    if (ticket.isUnknown) unknown.add(ticket);
    // From now on it counts what this slot brings.
    ticket.isSlow = false;
    let free = false;
    return () => {
      if (free) return;
      free = true;
      served();
      held -= 1;
      if (asBackground) background -= 1;
      if (isMore) more -= 1;
      unknown.delete(ticket);
      offers.left(ticket);
      poke();
      if (held < total) for (const act of whenFree) act();
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
      const waiter: Waiter = { claim, ticket, admit, since: performance.now() };
      queue.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      else makeWay(waiter);
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
    offer(ticket, giveWay) {
      const takeBack = offers.add({ ticket, giveWay });
      makeWay();
      return takeBack;
    },
    isWanted: ({ priority }) => queue.has(({ ticket }) => rankOf(ticket.priority) <= rankOf(priority)),
    poke,
    onFree: (act) => void whenFree.push(act),
  };
}
