// Health: whether any pull can be answered, and what is wrong meanwhile.
import { createSingleFlight } from '../lib/single-flight.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryName, RegistryState } from './api.ts';
import { unlessLate } from './patience.ts';
import { inOrder, problem, type ProblemCode, type ToldProblem } from './problem.ts';
import { createLookAtRegistry } from './registry-state.ts';

/** How the process does, without what the rows tell. */
export interface Readiness {
  /** False only when starting, draining, or when neither registry answers: `/readyz` answers 503 then. */
  readonly ready: boolean;
  /** `ok`, `degraded`, or why not ready. */
  readonly status: 'ok' | 'degraded' | 'starting' | 'draining' | 'no registry answers';
  /** The texts of the problems. */
  readonly reasons: readonly string[];
  readonly problems: readonly ToldProblem[];
  /** null where they were not asked. */
  readonly registries: Readonly<Record<RegistryName, RegistryState>> | null;
}

/** The state of the process itself. */
export type Phase = 'starting' | 'serving' | 'draining';

/** Asks both registries and what else may be wrong, each for no longer than `patience` ms. */
export type CheckReadiness = () => Promise<Readiness>;

/** Something beside the registries that pulls can be answered without. */
export interface Part {
  /** What it is, for people: `the database`. */
  readonly what: string;
  /** The kind of its troubles. */
  readonly code: ProblemCode;
  /** What is wrong with it, a reason each. Does not reject. */
  readonly troubles: () => Promise<readonly string[]>;
}

/** What is known of a process that was not asked how it does. */
export const UNASKED: Readiness = { ready: true, status: 'ok', reasons: [], problems: [], registries: null };

/** @see CheckReadiness */
export function createCheckReadiness(
  deps: { registries: readonly Registry[]; parts: readonly Part[]; phase: () => Phase },
  { patience = 2_000 } = {},
): CheckReadiness {
  const looks = deps.registries.map((registry) => ({
    name: registry.client.registry as RegistryName,
    look: createLookAtRegistry(registry, { patience }),
  }));

  async function partProblems({ what, code, troubles }: Part): Promise<readonly ToldProblem[]> {
    const found = await unlessLate(troubles(), patience, [`${what} does not answer`]);
    return found.map((text) => problem(code, text));
  }

  return async () => {
    const phase = deps.phase();
    if (phase !== 'serving') return { ...UNASKED, ready: false, status: phase };
    const [asked, looked] = await Promise.all([
      Promise.all(looks.map(async ({ name, look }) => ({ name, ...(await look()) }))),
      Promise.all(deps.parts.map(partProblems)),
    ]);
    const silent = asked.filter(({ isSilent }) => isSilent);
    const problems = inOrder([...asked.flatMap((one) => one.problem ?? []), ...looked.flat()]);
    const states = Object.fromEntries(asked.map(({ name, state }) => [name, state]));
    const told = {
      reasons: problems.map(({ text }) => text),
      problems,
      registries: states as Record<RegistryName, RegistryState>,
    };
    if (silent.length === looks.length) return { ready: false, status: 'no registry answers', ...told };
    return { ready: true, status: problems.length === 0 ? 'ok' : 'degraded', ...told };
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
