// The time of now for texts like "3 min ago": one clock for all of them.
import { createStore, useStore } from './store.ts';

const clock = createStore({ now: Date.now() });
setInterval(() => clock.set({ now: Date.now() }), 1_000);

/** A text of the time of now, in milliseconds since the epoch; drawn anew when the text changes. */
export function useClock(text: (now: number) => string): string {
  return useStore(clock, ({ now }) => text(now));
}
