// What is wrong with a site, or waits for a person: the server's own judgement, or ours of an older server's snapshot.
import { counted, visibleText } from '../status/figures.ts';
import { whyRemovalsWait } from '../status/suspension-text.ts';
import type { AnySnapshot, Problem } from './api.ts';

function problem(severity: Problem['severity'], text: string, advice: string): Problem {
  return { severity, text, advice };
}

function ofTags({ replication: { tags } }: AnySnapshot): (Problem | false)[] {
  return [
    tags.failed > 0 &&
      problem('error', `${counted(tags.failed, 'image fails', 'images fail')} to replicate`, 'see the errors below'),
    tags.unsupported > 0 &&
      problem(
        'warning',
        `${counted(tags.unsupported, 'image is', 'images are')} not taken by the secondary registry`,
        'clients get them from the primary; see the reasons below',
      ),
  ];
}

function ofRemovals({ replication }: AnySnapshot): (Problem | false)[] {
  const { held, suspension } = replication.removals;
  const look = 'look at them, and let them go: geo-registry-proxy confirm-removals';
  // A first start waits for no person before everything was compared.
  const isSuspended = suspension !== null && (suspension.isCompared || suspension.because === 'other primary');
  return [
    held > 0 && problem('warning', `${counted(held, 'removal is', 'removals are')} on hold`, look),
    isSuspended && problem('warning', `removals are suspended: ${whyRemovalsWait(suspension)}`, look),
  ];
}

function ofRuns({ replication: { runs } }: AnySnapshot): (Problem | false)[] {
  const names = { backfill: 'backfill', reconcile: 'compare run', verify: 'verification' } as const;
  return (Object.keys(names) as (keyof typeof names)[]).map((kind) => {
    const error = runs[kind]?.error ?? null;
    return error !== null && problem('error', `the last ${names[kind]} ended early: ${visibleText(error)}`, '');
  });
}

/** What is wrong, the worst first; `info` is left out. */
export function problemsOf(snapshot: AnySnapshot): readonly Problem[] {
  const { status, reasons, damaged, problems } = snapshot;
  if (problems) return problems.filter(({ severity }) => severity !== 'info');
  const said = reasons.map((reason) => problem('error', visibleText(reason), ''));
  const found = [
    ...said,
    status !== 'ok' && said.length === 0 && problem('error', `the status is ${visibleText(status)}`, ''),
    ...ofTags(snapshot),
    damaged > 0 &&
      problem(
        'error',
        `${counted(damaged, 'blob is', 'blobs are')} damaged in the secondary's storage`,
        'clients get them from the primary; the reasons of their rows name the files',
      ),
    ...ofRemovals(snapshot),
    ...ofRuns(snapshot),
  ];
  return found.filter((one) => one !== false);
}

/** Whether a person should look: something is wrong or waits; that nothing is asked for decides, not the word of the status. */
export function needsAttention(snapshot: AnySnapshot): boolean {
  return snapshot.status !== 'ok' || problemsOf(snapshot).length > 0;
}
