// A bounded number of slots, half of them out of reach of background work.

/** Who asks: a client is waiting; one is about to ask; or nobody is. */
export type Priority = 'on-demand' | 'ahead' | 'background';

/** All priorities, the first first. */
export const PRIORITIES: readonly Priority[] = ['on-demand', 'ahead', 'background'];

function rankOf(priority: Priority): number {
  return PRIORITIES.indexOf(priority);
}

/** Takes a slot; resolves with the function that gives it back (calling it again does nothing). */
export interface Slots {
  take(ticket: Ticket): Promise<() => void>;
  /**
   * One more slot for somebody who has one, if there is one that nobody waits for; all such together get half of the
   * slots at the most, so that others who come find some.
   */
  takeMore(ticket: Ticket): (() => void) | undefined;
  /** A slot if one is free that nobody waits for, whoever has how many: for a moment only. */
  takeFree(ticket: Ticket): (() => void) | undefined;
  /** Whether somebody who does not go behind this ticket waits for the slot that it holds. */
  isWanted(ticket: Ticket): boolean;
  /** Looks at the queue again after a ticket's priority was raised. */
  poke(): void;
}

/** A place in the queue; raising its priority while it waits moves it ahead. */
export interface Ticket {
  priority: Priority;
}

interface Waiter {
  readonly ticket: Ticket;
  readonly admit: () => void;
}

/** Slots for `total` holders; background holders get half of them at the most, and on-demand ones go first. */
export function createSlots(total: number): Slots {
  const half = Math.floor(total / 2);
  const backgroundMax = Math.max(1, half);
  const waiting: Waiter[] = [];
  let held = 0;
  let background = 0;
  let more = 0;

  const fits = (ticket: Ticket): boolean =>
    held < total && (ticket.priority !== 'background' || background < backgroundMax);

  const poke = (): void => {
    for (const priority of PRIORITIES) {
      for (;;) {
        const index = waiting.findIndex(({ ticket }) => ticket.priority === priority && fits(ticket));
        if (index < 0) break;
        waiting.splice(index, 1)[0]!.admit();
      }
    }
  };

  const hold = (ticket: Ticket, isMore = false): (() => void) => {
    const asBackground = ticket.priority === 'background';
    held += 1;
    if (asBackground) background += 1;
    if (isMore) more += 1;
    let free = false;
    return () => {
      if (free) return;
      free = true;
      held -= 1;
      if (asBackground) background -= 1;
      if (isMore) more -= 1;
      poke();
    };
  };

  return {
    take(ticket) {
      if (fits(ticket)) return Promise.resolve(hold(ticket));
      return new Promise((resolve) => {
        waiting.push({ ticket, admit: () => resolve(hold(ticket)) });
      });
    },
    // Whoever waits and fits was admitted when the slot became free: what is free nobody waits for.
    takeMore: (ticket) => (more < half && fits(ticket) ? hold(ticket, true) : undefined),
    takeFree: (ticket) => (fits(ticket) ? hold(ticket) : undefined),
    isWanted: ({ priority }) => waiting.some(({ ticket }) => rankOf(ticket.priority) <= rankOf(priority)),
    poke,
  };
}
