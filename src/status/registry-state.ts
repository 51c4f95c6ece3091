// How a registry does, as it was found when it was last asked: up or down since when, how fast, and why not.
import { bareReason } from '../registry/answer.ts';
import type { Ping } from '../registry/ping.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryName, RegistryState } from './api.ts';
import { unlessLate } from './patience.ts';
import { problem, type ToldProblem } from './problem.ts';

/** What asking a registry came to. */
export interface RegistryFinding {
  readonly state: RegistryState;
  /** What is wrong with it. */
  readonly problem?: ToldProblem;
  /** Whether it does not answer as a registry that takes our key. */
  readonly isSilent: boolean;
}

/** Asks one registry, and remembers since when it has been so. An outage is a finding, and not thrown. */
export type LookAtRegistry = () => Promise<RegistryFinding>;

const CAUSES: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'connection refused'],
  [/ECONNRESET|EPIPE|UND_ERR_SOCKET|other side closed|socket hang up/, 'the connection was closed'],
  [/ENOTFOUND|EAI_AGAIN/, 'its host name is not known'],
  [/EHOSTUNREACH|ENETUNREACH/, 'no route to it'],
  [/CERT_HAS_EXPIRED|certificate has expired/, 'its certificate has expired'],
  [/ALTNAME|does not match certificate/, 'its certificate is for another name'],
  [/SELF_SIGNED|UNABLE_TO_|self.signed|unable to (?:verify|get)/, 'its certificate is not trusted: see GEO_CA_FILE'],
  [/WRONG_VERSION_NUMBER|EPROTO/, 'it does not speak TLS: use http:// in its URL, or its TLS port'],
  [/time.?out|timed out|TIMEOUT/i, 'no answer in time'],
];

/** Why a registry could not be asked, in words. */
export function causeInWords(reason: string): string {
  return CAUSES.find(([pattern]) => pattern.test(reason))?.[1] ?? reason;
}

/** The cause of a client's answer in words, where all that is known is a code: `primary: ECONNREFUSED`. */
export function pullCauseInWords(cause: string): string {
  const [, name, code] = /^(primary|secondary): ([A-Z][A-Z0-9_]+)$/.exec(cause) ?? [];
  return name === undefined || code === undefined ? cause : `${name}: ${causeInWords(code)}`;
}

/** What a registry says of itself; `version` as in {@link Ping}. */
export function aboutOf({ version, hasDatabase }: Pick<Ping, 'version' | 'hasDatabase'>): string | null {
  const [api = '', gitlab = ''] = version.split(' | ');
  if (gitlab !== '') return `GitLab ${gitlab.replace(/^v/, '')}${hasDatabase ? ' with a database' : ''}`;
  return api === '' ? null : api;
}

// How a client says that the trouble is with what it needs to ask.
const NO_CREDENTIALS = 'no credentials: ';

/** What is found without the times. */
interface Look {
  readonly ping?: Ping;
  readonly cause?: string;
  readonly problem?: ToldProblem;
}

async function lookAt(registry: Registry, name: RegistryName, patience: number): Promise<Look> {
  const answer = await unlessLate(registry.ping(), patience, undefined);
  if (answer === undefined) {
    const cause = `no answer within ${patience / 1_000} s`;
    return { cause, problem: problem('unreachable', `the ${name} registry does not answer`, { registry: name }) };
  }
  if (answer.kind !== 'found') {
    const reason = bareReason(answer, name);
    if (!reason.startsWith(NO_CREDENTIALS)) return { cause: causeInWords(reason) };
    const cause = `no credentials: ${causeInWords(reason.slice(NO_CREDENTIALS.length))}`;
    const text = `there are no credentials for the ${name} registry: ${cause.slice(NO_CREDENTIALS.length)}`;
    return { cause, problem: problem('no-credentials', text, { registry: name }) };
  }
  const ping = answer.value;
  if (!ping.isRegistry) {
    const cause = 'what answers is no registry';
    return {
      ping,
      cause,
      problem: problem('no-registry', `what answers at the ${name} URL is no registry`, { registry: name }),
    };
  }
  if (ping.acceptsUs) return { ping };
  const { host } = registry.client.origin;
  const cause = registry.client.isByAccount
    ? `takes no credentials that we have for ${host}`
    : 'does not accept our credentials';
  const code = registry.client.isByAccount ? 'no-credentials' : 'refused-key';
  return { ping, cause, problem: problem(code, `the ${name} registry ${cause}`, { registry: name }) };
}

/** Asks a registry, each time for no longer than `patience` ms; `clock` in milliseconds since the epoch. */
export function createLookAtRegistry(
  registry: Registry,
  { patience, clock = Date.now }: { readonly patience: number; readonly clock?: () => number },
): LookAtRegistry {
  const name = registry.client.registry as RegistryName;
  let last: { readonly isUp: boolean; readonly since: number } | undefined;
  let lastPing: Ping | undefined;
  let latencyMs: number | null = null;
  let about: string | null = null;
  // Why it is down, as long as the breaker says no more than that it is.
  let lastCause: string | undefined;

  return async () => {
    const startedAt = performance.now();
    const look = await lookAt(registry, name, patience);
    const isUp = look.cause === undefined;
    // A good answer of a moment ago is given again: that took no time.
    if (look.ping && look.ping !== lastPing) latencyMs = Math.round((performance.now() - startedAt) * 10) / 10;
    if (look.ping) [lastPing, about] = [look.ping, aboutOf(look.ping)];
    if (last?.isUp !== isUp) last = { isUp, since: clock() };
    const isBreaker = look.cause === 'circuit breaker open';
    const cause = isBreaker ? (lastCause ?? 'it did not answer') : look.cause;
    lastCause = cause;
    const state = {
      url: registry.client.origin.origin,
      up: isUp,
      since: new Date(last.since).toISOString(),
      latencyMs: isUp ? latencyMs : null,
      cause: cause ?? null,
      about,
    };
    if (isUp) return { state, isSilent: false };
    const text = `the ${name} registry cannot be reached: ${cause}`;
    const code = isBreaker ? 'breaker-open' : 'unreachable';
    return { state, isSilent: true, problem: look.problem ?? problem(code, text, { registry: name }) };
  };
}
