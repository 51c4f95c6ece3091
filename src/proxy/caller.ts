// The client of a request as queues know it: its share, and whether it is still there.
import type { ServerResponse } from 'node:http';
import type { Caller } from '../lib/claim.ts';

/** A client leaves when its connection is closed before all of its answer is out. */
export function callerOf(share: string, raw: ServerResponse): Caller {
  return {
    share,
    get hasLeft() {
      return raw.destroyed;
    },
    onLeave(act) {
      raw.once('close', act);
      return () => void raw.off('close', act);
    },
  };
}
