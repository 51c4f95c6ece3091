// A bell that ends a sleep.

/** No ring is lost: one before the sleep ends that sleep at once. */
export class Bell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Forgets earlier rings. */
  reset(): void {
    this.#hasRung = false;
  }

  /** Resolves after `time` ms, or when the bell has rung since the last {@link reset}. */
  async sleep(time: number): Promise<void> {
    if (this.#hasRung) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, time).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
