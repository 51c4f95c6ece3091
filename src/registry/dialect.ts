// What a registry turned out not to support (HEAD, ranges): it is not asked so again for an hour.

const HOUR = 3_600_000;

/** The statuses by which registries refuse HEAD; the same is then asked by GET. */
export const NO_HEAD: ReadonlySet<number> = new Set([400, 405, 501]);

/** On for an hour after each start. */
export class Cooldown {
  #until = 0;

  get isOn(): boolean {
    return performance.now() < this.#until;
  }

  start(): void {
    this.#until = performance.now() + HOUR;
  }
}

/**
 * Whether ranges are requested. They are not for an hour after a refusal; where the registry has accepted one before, after
 * two refusals in a row: without ranges a transfer that breaks off starts again.
 */
export class RangeSupport {
  readonly #off = new Cooldown();
  #isProven = false;
  #refusals = 0;

  get isOff(): boolean {
    return this.#off.isOn;
  }

  /** Whether a range was ever accepted. */
  get isProven(): boolean {
    return this.#isProven;
  }

  accepted(): void {
    this.#isProven = true;
    this.#refusals = 0;
  }

  /** A range was refused, and the whole content given. */
  refused(): void {
    this.#refusals += 1;
    if (!this.#isProven || this.#refusals > 1) this.#off.start();
  }
}
