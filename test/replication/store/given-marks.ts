// Marks as the store's tests make them, also in processes that vitest does not run.
import type { Mark } from '../../../src/replication/row-queue.ts';
import { PRIORITY } from '../../../src/replication/row.ts';

/** Where tags are marked unless told. */
export const repository = 'group/project';

/** A mark of a tag, of an event unless told. */
export function wish(reference: string, more: Partial<Mark> = {}): Mark {
  return { repository, reference, priority: PRIORITY.event, ...more };
}
