// Findings: what a check came to, in one line, and what to do about it.

/** `skipped`: it could not be checked, or there is nothing to check; the message says why. */
export type Verdict = 'ok' | 'warning' | 'failed' | 'skipped';

/** What a check came to; `advice` says what to do where all is not well. */
export interface Finding {
  readonly verdict: Verdict;
  readonly message: string;
  readonly advice?: string;
}

/** All is well, or something is worth knowing. */
export function ok(message: string): Finding {
  return { verdict: 'ok', message };
}

/** It works, but a person should know. */
export function warning(message: string, advice: string): Finding {
  return { verdict: 'warning', message, advice };
}

/** It does not work. */
export function failed(message: string, advice: string): Finding {
  return { verdict: 'failed', message, advice };
}

/** Not checked, and why. */
export function skipped(why: string): Finding {
  return { verdict: 'skipped', message: why };
}

const ORDER: readonly Verdict[] = ['failed', 'warning', 'ok', 'skipped'];

/** The worst of all verdicts; `ok` where nothing but `skipped` is there. */
export function worstOf(findings: readonly Pick<Finding, 'verdict'>[]): Exclude<Verdict, 'skipped'> {
  const worst = ORDER.find((verdict) => findings.some((finding) => finding.verdict === verdict));
  return worst === undefined || worst === 'skipped' ? 'ok' : worst;
}
