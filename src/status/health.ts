// Health: whether any pull can be answered, and what is wrong meanwhile.
import { createSingleFlight } from '../lib/single-flight.ts';
import type { Registry } from '../registry/registry.ts';

/** What `/readyz` says (design: 503 only when starting, draining, or when neither registry answers). */
export interface Readiness {
  readonly ready: boolean;
  /** `ok`, `degraded`, or why not ready. */
  readonly status: 'ok' | 'degraded' | 'starting' | 'draining' | 'no registry answers';
  readonly reasons: readonly string[];
}

/** The state of the process itself. */
export type Phase = 'starting' | 'serving' | 'draining';

/** Asks both registries and what else may be wrong, each for no longer than `patience` ms. */
export type CheckReadiness = () => Promise<Readiness>;

/** Something beside the registries that pulls can be answered without. */
export interface Part {
  /** What it is, for people: `the database`. */
  readonly what: string;
  /** What is wrong with it, a reason each. Does not reject. */
  readonly troubles: () => Promise<readonly string[]>;
}

/** What `work` resolves with, or `late` after `patience` ms. */
async function unlessLate<T, L>(work: Promise<T>, patience: number, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<L>((resolve) => {
    timer = setTimeout(resolve, patience, late);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

async function troubleOf(registry: Registry, patience: number): Promise<string | undefined> {
  const name = registry.client.registry;
  try {
    const ping = await unlessLate(registry.ping(), patience, 'late' as const);
    if (ping === 'late') return `the ${name} registry does not answer`;
    if (!ping.isRegistry) return `what answers at the ${name} URL is no registry`;
    return ping.acceptsUs ? undefined : `the ${name} registry does not accept our credentials`;
  } catch {
    return `the ${name} registry cannot be reached`;
  }
}

/** @see CheckReadiness */
export function createCheckReadiness(
  deps: { registries: readonly Registry[]; parts: readonly Part[]; phase: () => Phase },
  { patience = 2_000 } = {},
): CheckReadiness {
  const { registries, parts } = deps;
  return async () => {
    const phase = deps.phase();
    if (phase !== 'serving') return { ready: false, status: phase, reasons: [] };
    const asked = registries.map((registry) => troubleOf(registry, patience));
    const looked = parts.map(({ what, troubles }) => unlessLate(troubles(), patience, [`${what} does not answer`]));
    const silent = (await Promise.all(asked)).filter((trouble) => trouble !== undefined);
    const reasons = [...silent, ...(await Promise.all(looked)).flat()];
    if (silent.length === registries.length) return { ready: false, status: 'no registry answers', reasons };
    return { ready: true, status: reasons.length === 0 ? 'ok' : 'degraded', reasons };
  };
}

/**
 * Answers as `check` does where that takes no longer than `patience` ms, else what it answered before: whoever looks at
 * the status of a site with a registry that hangs must not hang, too.
 */
export function createQuickReadiness(check: CheckReadiness, { patience = 250 } = {}): CheckReadiness {
  const flight = createSingleFlight<Readiness>();
  let last: Readiness | undefined;
  return async () => {
    const asked = flight('', check).then((readiness) => (last = readiness));
    const before = last;
    if (before === undefined) return asked;
    return unlessLate(asked, patience, before);
  };
}
