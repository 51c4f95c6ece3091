// Work that several callers share: one at a time per key, queued in the share of each, and aborted when all have left.
import { Claim, type Caller } from './claim.ts';

/** Runs `work` for `key` unless it is under way; all callers get the one result or error. @throws CallerLeft */
type SharedWork<T> = (key: string, caller: Caller, work: (claim: Claim) => Promise<T>) => Promise<T>;

/** A {@link SharedWork} with its own keys. */
export function createSharedWork<T>(): SharedWork<T> {
  const under = new Map<string, { readonly claim: Claim; readonly result: Promise<T> }>();
  return (key, caller, work) => {
    const current = under.get(key);
    // Work that is being aborted has no answer for new callers.
    if (current && !current.claim.isAbandoned) return current.claim.wait(caller, () => current.result);
    const claim = new Claim();
    return claim.wait(caller, () => {
      const result = work(claim).finally(() => {
        claim.keep();
        if (under.get(key)?.claim === claim) under.delete(key);
      });
      under.set(key, { claim, result });
      return result;
    });
  };
}
