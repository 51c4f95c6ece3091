// A bounded number of slots, shared fairly among those who ask. Background work may hold half of them.
import { BACKGROUND, Claim } from './claim.ts';
import { FairQueue, WAITING_MAX, type Waiter as Queued } from './fair-queue.ts';
import { Offers } from './offers.ts';

/** Why a slot is wanted: a client waits; a client is about to ask; or no client is involved. */
export type Priority = 'on-demand' | 'ahead' | 'background';

/** All priorities, the highest first. */
export const PRIORITIES: readonly Priority[] = ['on-demand', 'ahead', 'background'];

/** A request for a slot. Raising its priority while it waits moves it ahead after {@link Slots.poke}. */
export interface Ticket {
  priority: Priority;
  /** The callers that wait. Without it the ticket is in the background's share, and is never given up. */
  readonly claim?: Claim;
  /** No manifest names it, so it may not exist: such tickets get half of the slots, and do not delay known content. */
  isUnknown?: boolean;
  /** Its transfer brought almost no bytes. For 10 s it waits behind all others of its priority. */
  isSlow?: boolean;
}

/** Too many of one share wait. */
export class QueueFull extends Error {
  constructor() {
    super('too many wait for a slot');
    this.name = 'QueueFull';
  }
}

/** Gives a slot back; a second call does nothing. */
type GiveBack = () => void;

interface Waiter extends Queued {
  readonly ticket: Ticket;
  readonly since: number;
  readonly admit: () => void;
}

// How long (ms) a slow ticket waits behind the others.
const SLOW_WAIT = 10_000;

const UNCLAIMED = Claim.of(BACKGROUND);

function claimOf({ claim }: Ticket): Claim {
  return claim ?? UNCLAIMED;
}

function rankOf({ priority }: Ticket): number {
  return PRIORITIES.indexOf(priority);
}

function isLast({ ticket, since }: Waiter): boolean {
  return Boolean(ticket.isSlow) && performance.now() - since < SLOW_WAIT;
}

/**
 * The slots. Higher priorities are served first; within one, the share that holds the fewest. A share gets three quarters
 * of the slots at most, so that other shares do not wait until its transfers end.
 */
export class Slots {
  readonly #total: number;
  readonly #half: number;
  readonly #halfOrOne: number;
  readonly #shareMax: number;
  readonly #waitingMax: number;
  readonly #queue = new FairQueue<Waiter>();
  readonly #unknown = new Set<Ticket>();
  readonly #offers = new Offers();
  readonly #onFree: (() => void)[] = [];
  #held = 0;
  #background = 0;
  #more = 0;

  constructor(total: number, waitingMax: number) {
    this.#total = total;
    this.#half = Math.floor(total / 2);
    this.#halfOrOne = Math.max(1, this.#half);
    this.#shareMax = total - Math.floor(total / 4);
    this.#waitingMax = waitingMax;
  }

  /** Waits for a slot. @throws QueueFull where too many of the share wait; CallerLeft when all callers have left. */
  take(ticket: Ticket): Promise<GiveBack> {
    const isFull = !this.#fits(ticket) && this.#queue.waitingBeside(claimOf(ticket)) >= this.#waitingMax;
    return isFull ? Promise.reject(new QueueFull()) : this.takeAgain(ticket);
  }

  /** As `take` for a ticket that gave its slot to others: it may wait however many do. @throws CallerLeft */
  takeAgain(ticket: Ticket): Promise<GiveBack> {
    if (this.#fits(ticket) && !claimOf(ticket).isAbandoned) return Promise.resolve(this.#hold(ticket));
    return this.#wait(ticket);
  }

  // A free slot is given to a waiter that fits as soon as it becomes free: no waiter wants a slot that is still free.

  /** One more free slot for a holder of one. All additional slots together are half of the slots at most. */
  takeMore(ticket: Ticket): GiveBack | undefined {
    return this.#more < this.#half && this.#fits(ticket) ? this.#hold(ticket, true) : undefined;
  }

  /** A free slot for a moment, whatever the share already holds. */
  takeFree(ticket: Ticket): GiveBack | undefined {
    return this.#isFree(ticket) ? this.#hold(ticket) : undefined;
  }

  /** Whether a ticket of the same or a higher priority waits for the slot that this one holds. */
  isWanted(ticket: Ticket): boolean {
    return this.#queue.hasMany(1, (waiter) => rankOf(waiter.ticket) <= rankOf(ticket));
  }

  /**
   * Offers a slot that brings almost no bytes. `giveWay` is called once, now or later, when a ticket that is not slow and
   * of the same or a higher priority waits. Returns the function that takes the offer back.
   */
  offer(ticket: Ticket, giveWay: () => void): () => void {
    const takeBack = this.#offers.add({ ticket, giveWay });
    this.#makeWay();
    return takeBack;
  }

  /** Serves the queue; to be called after a waiting ticket has changed. */
  poke(): void {
    for (const priority of PRIORITIES) {
      while (this.#isFree({ priority })) {
        const waiter = this.#next(priority);
        if (!waiter) break;
        this.#queue.remove(waiter);
        waiter.admit();
      }
    }
  }

  /** Calls `act` whenever a slot has become free that no ticket waits for. */
  onFree(act: () => void): void {
    this.#onFree.push(act);
  }

  /** Whether there is a slot for such a ticket, whatever its share holds. */
  #isFree({ priority, isUnknown = false }: Ticket): boolean {
    return this.#held < this.#total && this.#hasRoom(priority === 'background', isUnknown);
  }

  #hasRoom(isBackground: boolean, isUnknown: boolean): boolean {
    return (
      (!isBackground || this.#background < this.#halfOrOne) && (!isUnknown || this.#unknownHeld() < this.#halfOrOne)
    );
  }

  #fits(ticket: Ticket): boolean {
    return this.#isFree(ticket) && this.#queue.inService(claimOf(ticket)) < this.#shareMax;
  }

  #unknownHeld(): number {
    let count = 0;
    for (const { isUnknown } of this.#unknown) if (isUnknown) count += 1;
    return count;
  }

  #next(priority: Priority): Waiter | undefined {
    // Thousands may wait: what is the same for all of them is computed once.
    const takesUnknown = this.#isFree({ priority, isUnknown: true });
    const isNext = ({ ticket }: Waiter): boolean => ticket.priority === priority && (takesUnknown || !ticket.isUnknown);
    const isInTime = (waiter: Waiter): boolean => isNext(waiter) && !isLast(waiter);
    return this.#queue.next(this.#shareMax, isInTime) ?? this.#queue.next(this.#shareMax, isNext);
  }

  /** Whether a waiter could have the slot that a ticket holds. */
  #couldFollow({ ticket, claim }: Waiter, holder: Ticket): boolean {
    if (rankOf(ticket) > rankOf(holder)) return false;
    const isNewBackground = ticket.priority === 'background' && holder.priority !== 'background';
    const isAllowed = this.#hasRoom(isNewBackground, Boolean(ticket.isUnknown && !holder.isUnknown));
    return isAllowed && (this.#queue.inService(claim) < this.#shareMax || claim.sharesWith(claimOf(holder)));
  }

  /** Makes slow holders give way, as many as others wait; after an arrival only those whose slot suits the newcomer. */
  #makeWay(newcomer?: Waiter): void {
    if (this.#offers.isEmpty) return;
    const couldHave = (waiter: Waiter, holder: Ticket): boolean => !isLast(waiter) && this.#couldFollow(waiter, holder);
    this.#offers.accept(({ ticket }, atLeast) => {
      // Checked first, so that the thousands that may wait are not counted at each arrival.
      if (newcomer && !couldHave(newcomer, ticket)) return false;
      return this.#queue.hasMany(atLeast, (waiter) => couldHave(waiter, ticket));
    });
  }

  #hold(ticket: Ticket, isMore = false): GiveBack {
    const isBackground = ticket.priority === 'background';
    const endService = this.#queue.serve(claimOf(ticket));
    this.#count(1, isBackground, isMore);
    if (ticket.isUnknown) this.#unknown.add(ticket);
    // It is measured anew in this slot.
    ticket.isSlow = false;
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      endService();
      this.#count(-1, isBackground, isMore);
      this.#unknown.delete(ticket);
      this.#offers.left(ticket);
      this.poke();
      if (this.#held < this.#total) for (const act of this.#onFree) act();
    };
  }

  #count(by: 1 | -1, isBackground: boolean, isMore: boolean): void {
    this.#held += by;
    if (isBackground) this.#background += by;
    if (isMore) this.#more += by;
  }

  #wait(ticket: Ticket): Promise<GiveBack> {
    const { promise, resolve, reject } = Promise.withResolvers<GiveBack>();
    const claim = claimOf(ticket);
    const { signal } = claim;
    const leave = (): void => {
      if (this.#queue.remove(waiter)) reject(signal.reason as Error);
    };
    const admit = (): void => {
      signal.removeEventListener('abort', leave);
      resolve(this.#hold(ticket));
    };
    const waiter: Waiter = { claim, ticket, admit, since: performance.now() };
    this.#queue.add(waiter);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    else this.#makeWay(waiter);
    return promise;
  }
}

/** Slots for `total` holders; `waitingMax` of one share may wait. */
export function createSlots(total: number, { waitingMax = WAITING_MAX }: { waitingMax?: number } = {}): Slots {
  return new Slots(total, waitingMax);
}
