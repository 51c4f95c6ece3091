// The circuit breaker before a registry: while it is open nobody waits, and only a probe of our own can close it.
import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  circuitBreaker,
  handleWhen,
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
 * Opens after outages in a row (connection errors, time-outs, 502, 503, 504: whatever is thrown as RegistryOutage, never
 * an answer such as 500 that a client's nonsense can cause). Then `probe` asks again with exponential back-off, so that
 * no client has to be the one who waits, and the registry comes back without traffic.
 */
export function createBreaker(
  deps: { registry: string; probe: () => Promise<unknown>; onChange: (open: boolean) => void },
  options: BreakerOptions = {},
): Breaker {
  const { threshold = 5, probeAfter = 500, probeAfterMax = 5_000 } = options;
  const policy = circuitBreaker(
    handleWhen((error) => error instanceof RegistryOutage),
    {
      // The timer below decides when to probe; the policy only has to let that probe through.
      halfOpenAfter: 0,
      breaker: new ConsecutiveBreaker(threshold),
    },
  );
  const pauses = new ExponentialBackoff({ initialDelay: probeAfter, maxDelay: probeAfterMax });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function schedule(pause = pauses.next()): void {
    if (stopped) return;
    timer = setTimeout(() => {
      policy.execute(deps.probe).then(
        () => deps.onChange(false),
        () => schedule(pause.next(undefined)),
      );
    }, pause.duration);
    timer.unref();
  }

  policy.onBreak(() => {
    // A failed probe breaks again; its own handler has scheduled the next.
    if (timer === undefined) {
      deps.onChange(true);
      schedule();
    }
  });
  policy.onReset(() => {
    timer = undefined;
  });

  return {
    async run(call) {
      if (policy.state !== CircuitState.Closed) throw new RegistryOutage(deps.registry, 'circuit breaker open');
      try {
        return await policy.execute(call);
      } catch (error) {
        if (error instanceof BrokenCircuitError) throw new RegistryOutage(deps.registry, 'circuit breaker open', error);
        throw error;
      }
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
