// The Authorization of a client's requests. Where it cannot be obtained the registry counts as unavailable, not as down.
import type { Access } from '../auth/scope.ts';
import { reasonOf, RegistryOutage } from './answer.ts';
import type { Authorizer } from './authorizer.ts';

/** One or more challenges, as undici gives the header. */
export type ChallengeHeader = string | readonly string[] | undefined;

/** @see Authorizer */
export class Authorization {
  readonly #registry: string;
  readonly #authorizer: Authorizer;
  // The probe tries the first of them, since a token service may hang too.
  readonly #pending = new Set<readonly Access[]>();

  constructor(registry: string, authorizer: Authorizer) {
    this.#registry = registry;
    this.#authorizer = authorizer;
  }

  get isByAccount(): boolean {
    return this.#authorizer.isAccount === true;
  }

  /** Whether requests go out without credentials because the registry has not asked for any yet. */
  get isAnonymous(): boolean {
    return this.#authorizer.isAnonymous?.() === true;
  }

  /** The access whose credentials have been waited for longest. */
  get longestPending(): readonly Access[] | undefined {
    const [first] = this.#pending;
    return first;
  }

  /** As {@link Authorizer.header}. @throws RegistryOutage */
  header(access: readonly Access[], lifetime?: number): Promise<string | undefined> {
    return this.#obtain(access, () => this.#authorizer.header(access, lifetime));
  }

  /** As {@link Authorizer.renew}. @throws RegistryOutage */
  renew(access: readonly Access[], challenge: ChallengeHeader): Promise<boolean> {
    const text = typeof challenge === 'object' ? challenge.join(', ') : challenge;
    return this.#obtain(access, () => this.#authorizer.renew(access, text));
  }

  async #obtain<T>(access: readonly Access[], work: () => Promise<T>): Promise<T> {
    this.#pending.add(access);
    try {
      return await work();
    } catch (error) {
      // It does not count: a token service may refuse what a client made us ask for.
      throw new RegistryOutage(this.#registry, `no credentials: ${reasonOf(error)}`, error, { counts: false });
    } finally {
      this.#pending.delete(access);
    }
  }
}
