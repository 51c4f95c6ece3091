// The time limit of one request to its answer's headers.
import { RegistryOutage } from './answer.ts';

interface PatienceOptions {
  readonly registry: string;
  /** Milliseconds; 0 for no limit. */
  readonly timeout: number;
  /** Whether all connections to the registry are in use: waiting for one is no outage of the registry. */
  readonly isFull: () => boolean;
  /** The requests that end together when the breaker opens; this one is among them until it has its headers or ends. */
  readonly waiting?: Set<Patience>;
}

// How long (ms) the answer to an abandoned request may still come.
const GRACE = 1_000;

/** The time of one request. It starts at once, and again when the request goes out on a socket. */
export class Patience {
  readonly #options: PatienceOptions;
  readonly #controller = new AbortController();
  #fail: ((reason: Error) => void) | undefined;
  #isSent = false;
  #timer: NodeJS.Timeout | undefined;
  #expiring: NodeJS.Immediate | undefined;

  constructor(options: PatienceOptions) {
    this.#options = options;
    // Timers run before sockets are read: an answer that came while this process was busy is read first.
    const expireSoon = (): void => void (this.#expiring = setImmediate(() => this.#expire()));
    if (options.timeout > 0) this.#timer = setTimeout(expireSoon, options.timeout);
    options.waiting?.add(this);
  }

  /** Aborted when the time is over, or the request was ended. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** To be called when the request goes out on a socket. */
  readonly onSent = (): void => {
    this.#isSent = true;
    clearImmediate(this.#expiring);
    this.#timer?.refresh();
  };

  /** Resolves as `work` does; rejects when the signal is aborted: undici ends a request only once it has a socket. */
  race<T>(work: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#fail = reject;
    if (this.signal.aborted) reject(this.signal.reason as Error);
    work.then(resolve, reject);
    return promise;
  }

  /**
   * The answer is no longer wanted. A request that was not sent ends at once. One that was sent ends a second later, if
   * there is no answer by then: ending it costs its connection, and when many clients leave together each end would start
   * another request that is about to be abandoned.
   */
  leave(reason: Error): void {
    if (!this.#isSent) return this.end(reason);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(reason), GRACE);
  }

  end(reason: Error): void {
    this.stop();
    this.#controller.abort(reason);
    this.#fail?.(reason);
  }

  /** The headers are here: ends the time limit. */
  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#expiring);
    this.#options.waiting?.delete(this);
  }

  #expire(): void {
    const { registry, timeout, isFull } = this.#options;
    const isOurs = !this.#isSent && isFull();
    const reason = isOurs ? `no free connection in ${timeout} ms` : `no answer in ${timeout} ms`;
    this.end(new RegistryOutage(registry, reason, undefined, { counts: !isOurs, isTimeout: true }));
  }
}
