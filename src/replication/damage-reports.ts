// Damage reports: a local blob that a pull found wrong is read at once, not only by the next verification.
import { createLru } from '../lib/lru.ts';
import type { Digest } from '../oci/digest.ts';
import type { Damage } from './damage.ts';
import type { Inspector } from './inspect.ts';
import type { Site } from './site.ts';
import type { Verification } from './verification.ts';

/** What reports lead to. */
export interface DamageReportParts {
  readonly damage: Damage;
  readonly inspector: Inspector;
  readonly verification: Verification;
  /** Off: what is damaged is listed, and nothing is done about it. */
  readonly isOn: boolean;
}

// A registry that is stopped breaks off every transfer: each blob is read once in this time (ms), and reports beyond this
// number are left to the next verification.
const ONCE_IN = 60_000;
const WAITING_MAX = 1_000;

/** Takes reports; no pull waits for what is made of them. */
export class DamageReports {
  readonly #log: Site['log'];
  readonly #parts: DamageReportParts;
  readonly #lately = createLru<string, true>('suspects', { ttl: ONCE_IN });
  readonly #waiting: { readonly name: string; readonly digest: Digest }[] = [];
  readonly #stopping = new AbortController();
  #reading: Promise<void> | undefined;

  constructor({ log }: Pick<Site, 'log'>, parts: DamageReportParts) {
    this.#log = log;
    this.#parts = parts;
  }

  /** A pull found a local blob short or wrong. */
  reportDamage(name: string, digest: Digest): void {
    const key = `${name}@${digest}`;
    if (this.#lately.has(key) || this.#waiting.length >= WAITING_MAX || this.#stopping.signal.aborted) return;
    this.#lately.set(key, true);
    this.#waiting.push({ name, digest });
    this.#reading ??= this.#readAll();
  }

  /** A pull read a local blob, and found it whole. */
  reportWhole(name: string, digest: Digest): void {
    if (!this.#parts.damage.isKnown(digest)) return;
    this.#heal(name, digest).catch((error: unknown) => {
      const { message: reason } = error as Error;
      this.#log.warn({ repository: name, digest, reason }, 'a mended blob could not be noted');
    });
  }

  /** Ends the reading; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopped'));
    await this.#reading;
  }

  async #readAll(): Promise<void> {
    const { signal } = this.#stopping;
    for (let next = this.#waiting.shift(); next && !signal.aborted; next = this.#waiting.shift()) {
      const { name, digest } = next;
      await this.#read(name, digest).catch((error: unknown) => {
        if (signal.aborted) return;
        const { message: reason } = error as Error;
        this.#log.warn({ repository: name, digest, reason }, 'damage could not be looked into');
      });
    }
    this.#reading = undefined;
  }

  async #read(name: string, digest: Digest): Promise<void> {
    const { damage, inspector, verification, isOn } = this.#parts;
    const { kind, reason } = await inspector.read(name, digest, { signal: this.#stopping.signal });
    if (kind !== 'damaged' && kind !== 'missing') return;
    if (kind === 'damaged') await damage.note(name, digest, reason);
    // Its tags are not synced any more: they are found, and copied again or fail.
    if (isOn) verification.runSoon(name);
  }

  async #heal(name: string, digest: Digest): Promise<void> {
    const { damage, isOn } = this.#parts;
    await damage.healed(name, digest);
    if (isOn) await damage.retryFailed(name);
  }
}
