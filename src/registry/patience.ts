// Patience: how long one request may take to its answer's headers, and what it says when it took longer.
import { RegistryOutage } from './answer.ts';

/** The time of one request; it begins when it is made, and anew when the request goes out on a socket. */
export interface Patience {
  /** Aborted when the time is over, or by {@link leave}. */
  readonly signal: AbortSignal;
  /** Work, or a rejection when the signal is aborted: undici ends a request that waits for a socket only when it gets one. */
  race<T>(work: Promise<T>): Promise<T>;
  /** Told that the request has a socket. */
  readonly onSent: () => void;
  /**
   * The answer is not wanted any more. Before it is sent the request ends at once; then, after a moment in which an answer
   * may still come: ending it costs its connection, and when many clients leave together each request that ends would let
   * the next one out, of a client that is just about to leave.
   */
  leave(reason: Error): void;
  /** Ends the request now. */
  end(reason: Error): void;
  /** The headers are here. */
  stop(): void;
}

/** What the end of a patience depends on. */
export interface PatienceOptions {
  readonly registry: string;
  /** Milliseconds; 0 for no end. */
  readonly timeout: number;
  /** Whether all connections to the registry are taken: a wait for one is then our own doing. */
  readonly isFull: () => boolean;
  /** The requests without headers that may be ended together; this one is among them until it has its headers or ends. */
  readonly waiting?: Set<Patience>;
}

// How long (ms) an answer that is not wanted any more may still come.
const GRACE = 1_000;

/** @see Patience */
export function createPatience({ registry, timeout, isFull, waiting }: PatienceOptions): Patience {
  const abort = new AbortController();
  const { signal } = abort;
  let fail: ((reason: Error) => void) | undefined;
  let sent = false;
  let expiring: NodeJS.Immediate | undefined;

  function stop(): void {
    clearTimeout(timer);
    clearImmediate(expiring);
    waiting?.delete(patience);
  }

  function end(reason: Error): void {
    stop();
    abort.abort(reason);
    fail?.(reason);
  }

  function expire(): void {
    const isOurs = !sent && isFull();
    const reason = isOurs ? `no free connection in ${timeout} ms` : `no answer in ${timeout} ms`;
    end(new RegistryOutage(registry, reason, undefined, { counts: !isOurs, isTimeout: true }));
  }

  /** Timers run before sockets are read: an answer that came while this process was busy is read first. */
  function expireSoon(): void {
    expiring = setImmediate(expire);
  }

  function leave(reason: Error): void {
    if (!sent) return end(reason);
    clearTimeout(timer);
    timer = setTimeout(end, GRACE, reason);
  }

  let timer = timeout > 0 ? setTimeout(expireSoon, timeout) : undefined;
  const patience: Patience = {
    signal,
    race(work) {
      return new Promise((resolve, reject) => {
        fail = reject;
        if (signal.aborted) reject(signal.reason as Error);
        work.then(resolve, reject);
      });
    },
    onSent: () => {
      sent = true;
      clearImmediate(expiring);
      timer?.refresh();
    },
    leave,
    end,
    stop,
  };
  waiting?.add(patience);
  return patience;
}
