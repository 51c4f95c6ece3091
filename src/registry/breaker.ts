// The circuit breaker before a registry: while it is open nobody waits, and only a probe of our own can close it.
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
  /** Outages in a row that open it. */
  readonly threshold?: number;
  readonly probeAfter?: number;
  readonly probeAfterMax?: number;
}

/** Guards calls to one registry. */
export interface Breaker {
  /** Runs `call`. @throws RegistryOutage at once while the breaker is not closed. */
  run<T>(call: () => Promise<T>): Promise<T>;
  readonly isOpen: boolean;
  /** Ends the probing. */
  stop(): void;
}

/**
 * Opens after outages in a row (connection errors, time-outs, 502, 503, 504: whatever is thrown as a RegistryOutage that
 * counts, never an answer such as 500 that a client's nonsense can cause). Then `probe` asks again with exponential
 * back-off, so that no client has to be the one who waits, and the registry comes back without traffic.
 */
export function createBreaker(
  deps: { registry: string; probe: () => Promise<unknown>; onChange: (open: boolean) => void },
  options: BreakerOptions = {},
): Breaker {
  const { threshold = 5, probeAfter = 500, probeAfterMax = 5_000 } = options;
  const pauses = new ExponentialBackoff({ initialDelay: probeAfter, maxDelay: probeAfterMax });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  // A new one after each outage: calls that began before it end at the old one, whose state nobody asks for any more.
  let policy = closed();

  function closed(): CircuitBreakerPolicy {
    const fresh = circuitBreaker(
      handleWhen((error) => error instanceof RegistryOutage && error.counts),
      // It never half-opens: the probe below replaces it.
      { halfOpenAfter: Infinity, breaker: new ConsecutiveBreaker(threshold) },
    );
    fresh.onBreak(() => {
      deps.onChange(true);
      schedule(pauses.next());
    });
    return fresh;
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
    deps.onChange(false);
  }

  return {
    async run(call) {
      if (policy.state !== CircuitState.Closed) {
        throw new RegistryOutage(deps.registry, 'circuit breaker open', undefined, { counts: false });
      }
      return policy.execute(call);
    },
    get isOpen() {
      return policy.state !== CircuitState.Closed;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
