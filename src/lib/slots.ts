// A bounded number of slots, half of them out of reach of background work.

/** Who asks: a client is waiting, or nobody is. */
export type Priority = 'on-demand' | 'background';

/** Takes a slot; resolves with the function that gives it back (calling it again does nothing). */
export interface Slots {
  take(ticket: Ticket): Promise<() => void>;
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
  const backgroundMax = Math.max(1, Math.floor(total / 2));
  const waiting: Waiter[] = [];
  let held = 0;
  let background = 0;

  const fits = (ticket: Ticket): boolean =>
    held < total && (ticket.priority === 'on-demand' || background < backgroundMax);

  const poke = (): void => {
    for (const priority of ['on-demand', 'background'] as const) {
      for (;;) {
        const index = waiting.findIndex(({ ticket }) => ticket.priority === priority && fits(ticket));
        if (index < 0) break;
        waiting.splice(index, 1)[0]!.admit();
      }
    }
  };

  const hold = (ticket: Ticket): (() => void) => {
    const asBackground = ticket.priority === 'background';
    held += 1;
    if (asBackground) background += 1;
    let free = false;
    return () => {
      if (free) return;
      free = true;
      held -= 1;
      if (asBackground) background -= 1;
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
    poke,
  };
}
