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

/** Asks both registries, no longer than `patience` ms. */
export type CheckReadiness = () => Promise<Readiness>;

async function troubleOf(registry: Registry, patience: number): Promise<string | undefined> {
  const name = registry.client.registry;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, patience, 'late');
  });
  try {
    const ping = await Promise.race([registry.ping(), limit]);
    if (ping === 'late') return `the ${name} registry does not answer`;
    if (!ping.isRegistry) return `what answers at the ${name} URL is no registry`;
    return ping.acceptsUs ? undefined : `the ${name} registry does not accept our credentials`;
  } catch {
    return `the ${name} registry cannot be reached`;
  } finally {
    clearTimeout(timer);
  }
}

/** @see CheckReadiness */
export function createCheckReadiness(
  deps: { registries: readonly Registry[]; phase: () => Phase },
  { patience = 2_000 } = {},
): CheckReadiness {
  return async () => {
    const phase = deps.phase();
    if (phase !== 'serving') return { ready: false, status: phase, reasons: [] };
    const troubles = await Promise.all(deps.registries.map((registry) => troubleOf(registry, patience)));
    const reasons = troubles.filter((trouble) => trouble !== undefined);
    if (reasons.length === deps.registries.length) return { ready: false, status: 'no registry answers', reasons };
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
    let timer: NodeJS.Timeout | undefined;
    const known = new Promise<Readiness>((resolve) => {
      timer = setTimeout(() => resolve(before), patience);
    });
    return Promise.race([asked, known]).finally(() => clearTimeout(timer));
  };
}
