// The transfers under way, as the page and the command line see them.
import type { Transfer } from '../api/pulls.ts';

/** The blobs that come in now, those that clients wait for first. */
export interface TransfersView {
  list(): readonly Transfer[];
}
