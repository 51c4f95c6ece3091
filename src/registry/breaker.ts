// The circuit breaker before a registry: while it is open no request waits, and only a probe of our own closes it.
import {
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  circuitBreaker,
  handleWhen,
  type CircuitBreakerPolicy,
  type IBackoff,
} from 'cockatiel';
import { RegistryOutage } from './answer.ts';

/** Knobs of a breaker; times in milliseconds. */
export interface BreakerOptions {
  /** Outages in a row that open it, time-outs not counted. */
  readonly threshold?: number;
  /** How long the probe after a time-out may take. */
  readonly suspectFor?: number;
  /** How long after a probe was answered a time-out causes no other. */
  readonly provenFor?: number;
  readonly probeAfter?: number;
  readonly probeAfterMax?: number;
}

/** Guards calls to one registry. */
export interface Breaker {
  /**
   * Runs `call`. Its success shows that the registry does not hang; that of a HEAD (`isHead`) only shows that it does not
   * hang at HEAD.
   * @throws RegistryOutage at once while the breaker is not closed.
   */
  run<T>(call: () => Promise<T>, options?: { readonly isHead?: boolean }): Promise<T>;
  readonly isOpen: boolean;
  /** Since when (ms since the epoch) no call has got an answer; undefined where the last one did. */
  readonly downSince: number | undefined;
  /** Ends the probing. */
  stop(): void;
}

/** What requests end with while the breaker is open. */
export function circuitOpen(registry: string): RegistryOutage {
  return new RegistryOutage(registry, 'circuit breaker open', undefined, { counts: false });
}

/** What a breaker needs. */
export interface BreakerDeps {
  readonly registry: string;
  /** Asks the registry, for `timeout` ms at most; rejects where there is no answer. */
  readonly probe: (timeout?: number) => Promise<unknown>;
  readonly onChange: (open: boolean) => void;
}

/**
 * Opens in two ways. Outages in a row open it: connection errors, 502, 503, 504 (whatever is thrown as a RegistryOutage
 * that counts, never an answer such as 500 that a client's nonsense can cause). A time-out opens nothing by itself, since
 * one odd request may be slow: the registry is suspect, and a probe at once decides. Where the probe gets no answer
 * either, and no other request of the kind got one meanwhile, the breaker opens.
 *
 * While it is open `probe` asks again with exponential back-off: no client has to be the one who waits, and the registry
 * comes back without traffic.
 */
export function createBreaker(deps: BreakerDeps, options: BreakerOptions = {}): Breaker {
  const { threshold = 5, probeAfter = 500, probeAfterMax = 5_000, suspectFor = 1_000, provenFor = 1_000 } = options;
  const pauses = new ExponentialBackoff({ initialDelay: probeAfter, maxDelay: probeAfterMax });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let isSuspect = false;
  // Answers so far: to HEAD or any other request, and to any other alone.
  let answers = 0;
  let bodies = 0;
  let provenAt = -Infinity;
  let downSince: number | undefined;
  // A new one after each outage: calls that began before it end at the old one, whose state nobody asks for any more.
  let policy = closed();

  function closed(): CircuitBreakerPolicy {
    const fresh = circuitBreaker(
      handleWhen((error) => error instanceof RegistryOutage && error.counts && !error.isTimeout),
      // It never half-opens: the probe below replaces it.
      { halfOpenAfter: Infinity, breaker: new ConsecutiveBreaker(threshold) },
    );
    fresh.onBreak(() => {
      deps.onChange(true);
      schedule(pauses.next());
    });
    return fresh;
  }

  /** Lets the probe decide, after a time-out, whether the registry hangs. */
  function suspect(isHead: boolean): void {
    if (stopped || isSuspect || performance.now() - provenAt < provenFor) return;
    const suspected = policy;
    const proofs = (): number => (isHead ? answers : bodies);
    const before = proofs();
    isSuspect = true;
    const works = deps.probe(suspectFor).then(
      () => true,
      () => proofs() > before,
    );
    void works.then((isAlive) => {
      isSuspect = false;
      if (isAlive) provenAt = performance.now();
      // Outages may have opened it meanwhile.
      else if (!stopped && suspected.state === CircuitState.Closed) suspected.isolate();
    });
  }

  function schedule(pause: IBackoff<unknown>): void {
    if (stopped) return;
    timer = setTimeout(() => {
      deps.probe().then(close, () => schedule(pause.next(undefined)));
    }, pause.duration);
    timer.unref();
  }

  function close(): void {
    policy = closed();
    downSince = undefined;
    deps.onChange(false);
  }

  return {
    async run(call, { isHead = false } = {}) {
      const current = policy;
      if (current.state !== CircuitState.Closed) throw circuitOpen(deps.registry);
      try {
        const value = await current.execute(call);
        answers += 1;
        downSince = undefined;
        if (!isHead) bodies += 1;
        return value;
      } catch (error) {
        if (error instanceof RegistryOutage && error.counts) downSince ??= Date.now();
        if (error instanceof RegistryOutage && error.isTimeout && current === policy) suspect(isHead);
        throw error;
      }
    },
    get isOpen() {
      return policy.state !== CircuitState.Closed;
    },
    get downSince() {
      return downSince;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
