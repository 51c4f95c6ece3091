// The circuit breaker of a registry: while it is open no request waits, and only its own probe closes it.
import { RegistryOutage } from './answer.ts';

/** Times in milliseconds. */
export interface BreakerOptions {
  /** Outages in a row that open it; time-outs do not count. */
  readonly threshold?: number;
  /** Limit of the probe after a time-out. */
  readonly suspectFor?: number;
  /** How long after an answered probe a time-out causes no other. */
  readonly provenFor?: number;
  /** Pause before the first probe while it is open; pauses double up to `probeAfterMax`. */
  readonly probeAfter?: number;
  readonly probeAfterMax?: number;
}

const DEFAULTS = { threshold: 5, suspectFor: 1_000, provenFor: 1_000, probeAfter: 500, probeAfterMax: 5_000 };

interface BreakerDeps {
  readonly registry: string;
  /** Asks the registry, for `timeout` ms at most; rejects where there is no answer. */
  readonly probe: (timeout?: number) => Promise<unknown>;
  readonly onChange: (open: boolean) => void;
}

/** Outages in a row. Each closing makes a new one, so that calls from before an outage have no effect after it. */
interface Circuit {
  outages: number;
  isOpen: boolean;
}

/** The error of requests while the breaker is open. */
export function circuitOpen(registry: string): RegistryOutage {
  return new RegistryOutage(registry, 'circuit breaker open', undefined, { counts: false });
}

/**
 * Opens in two ways. Outages in a row open it: connection errors, 502, 503, 504 (a RegistryOutage that counts; an answer
 * such as 500 does not, since a wrong request can cause it). A time-out opens nothing by itself, since one request may be
 * slow: the registry is probed at once, and the breaker opens where the probe has no answer either, and no other request
 * of the kind had one meanwhile.
 *
 * While it is open the registry is probed with growing pauses: no client has to wait, and no traffic is needed.
 */
export class Breaker {
  readonly #deps: BreakerDeps;
  readonly #options: Required<BreakerOptions>;
  #circuit: Circuit = { outages: 0, isOpen: false };
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isSuspect = false;
  // Answers so far: to all requests, and to those that are not HEAD.
  #answers = 0;
  #bodies = 0;
  #provenAt = -Infinity;
  #downSince: number | undefined;

  constructor(deps: BreakerDeps, options: BreakerOptions = {}) {
    this.#deps = deps;
    this.#options = { ...DEFAULTS, ...options };
  }

  get isOpen(): boolean {
    return this.#circuit.isOpen;
  }

  /** Since when (ms since the epoch) no call has had an answer; undefined where the last one had. */
  get downSince(): number | undefined {
    return this.#downSince;
  }

  /**
   * Runs `call`. Its success shows that the registry does not hang; of a HEAD (`isHead`), that it does not hang at HEAD.
   * @throws RegistryOutage at once while the breaker is open.
   */
  async run<T>(call: () => Promise<T>, { isHead = false }: { readonly isHead?: boolean } = {}): Promise<T> {
    const circuit = this.#circuit;
    if (circuit.isOpen) throw circuitOpen(this.#deps.registry);
    try {
      const value = await call();
      circuit.outages = 0;
      this.#answers += 1;
      this.#downSince = undefined;
      if (!isHead) this.#bodies += 1;
      return value;
    } catch (error) {
      if (error instanceof RegistryOutage) this.#failed(circuit, error, isHead);
      throw error;
    }
  }

  /** Ends the probing. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #failed(circuit: Circuit, { counts, isTimeout }: RegistryOutage, isHead: boolean): void {
    if (counts) this.#downSince ??= Date.now();
    if (counts && !isTimeout) {
      circuit.outages += 1;
      if (circuit.outages >= this.#options.threshold) this.#open(circuit);
    }
    if (isTimeout && circuit === this.#circuit) void this.#suspect(circuit, isHead);
  }

  /** After a time-out: probes, and opens where the registry hangs. */
  async #suspect(circuit: Circuit, isHead: boolean): Promise<void> {
    const { suspectFor, provenFor } = this.#options;
    if (this.#isStopped || this.#isSuspect || performance.now() - this.#provenAt < provenFor) return;
    const answers = (): number => (isHead ? this.#answers : this.#bodies);
    const before = answers();
    this.#isSuspect = true;
    const isAlive = await this.#deps.probe(suspectFor).then(
      () => true,
      () => answers() > before,
    );
    this.#isSuspect = false;
    if (isAlive) this.#provenAt = performance.now();
    else if (!this.#isStopped) this.#open(circuit);
  }

  #open(circuit: Circuit): void {
    if (circuit.isOpen) return;
    circuit.isOpen = true;
    this.#deps.onChange(true);
    this.#scheduleProbe(this.#options.probeAfter);
  }

  #scheduleProbe(pause: number): void {
    if (this.#isStopped) return;
    const again = (): void => this.#scheduleProbe(Math.min(2 * pause, this.#options.probeAfterMax));
    this.#timer = setTimeout(() => void this.#deps.probe().then(() => this.#close(), again), pause);
    this.#timer.unref();
  }

  #close(): void {
    this.#circuit = { outages: 0, isOpen: false };
    this.#downSince = undefined;
    this.#deps.onChange(false);
  }
}
