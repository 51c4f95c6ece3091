// A body of events, read in one go.
import { readEvents, type ParsedEvents } from '../../src/replication/events.ts';

/** What a body's events come to. */
export function parseEvents(body: Uint8Array, isReplicated: (repository: string) => boolean): ParsedEvents {
  const reading = readEvents(body, isReplicated);
  for (;;) {
    const step = reading.next();
    if (step.done) return step.value;
  }
}
