// Runs over everything as JSON: how far they are, how fast, and how long they will take.
import type { VerificationProgress } from '../replication/verification-run.ts';
import type { Progress } from '../replication/walk-run.ts';
import { isoTime } from './time.ts';

/** What all runs tell of their progress. */
export interface RunProgress {
  readonly startedAt: string;
  /** null while it runs. */
  readonly endedAt: string | null;
  /** Tags and manifests that were looked at, and of how many; null where that is not known. */
  readonly done: number;
  readonly total: number | null;
  readonly ratePerSecond: number | null;
  readonly timeLeftMs: number | null;
  /** Why it ended early. */
  readonly error: string | null;
}

/** A backfill or a compare run, as JSON. */
export interface Run extends RunProgress {
  readonly repositories: number;
  readonly repositoriesDone: number;
  /** Those that could not be walked; they are tried again. */
  readonly repositoriesFailed: number;
  /** Tags that were looked at, and those of them that were marked for the workers. */
  readonly tags: number;
  readonly marked: number;
}

/** A verification, as JSON: its counts are those of {@link VerificationProgress}. */
export interface VerifyRun
  extends RunProgress, Omit<VerificationProgress, 'kind' | 'startedAt' | 'endedAt' | 'error' | 'expected'> {}

/** The run of each kind that is under way, else the last one since the start. */
export type Runs = Readonly<Record<Progress['kind'], Run | null>> & { readonly verify: VerifyRun | null };

interface Given {
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly error?: string;
  readonly expected?: number;
}

function progressOf({ startedAt, endedAt, error, expected }: Given, done: number, now: number): RunProgress {
  const seconds = ((endedAt ?? now) - startedAt) / 1_000;
  const rate = seconds > 0 && done > 0 ? done / seconds : null;
  const isWhole = endedAt !== undefined && error === undefined;
  // What was added meanwhile is looked at, too.
  const total = isWhole ? done : expected === undefined ? null : Math.max(expected, done);
  const left = endedAt !== undefined || rate === null || total === null ? null : ((total - done) / rate) * 1_000;
  return {
    startedAt: new Date(startedAt).toISOString(),
    endedAt: isoTime(endedAt),
    done,
    total,
    ratePerSecond: rate,
    timeLeftMs: left === null ? null : Math.round(left),
    error: error ?? null,
  };
}

/** The run of a kind that is under way, else its last one; null for none. */
export function runOf(progress: readonly Progress[], kind: Progress['kind'], now: number): Run | null {
  const found = progress.find((one) => one.kind === kind);
  if (!found) return null;
  const { repositories, repositoriesDone, repositoriesFailed, tags, marked, looked } = found;
  return { ...progressOf(found, looked, now), repositories, repositoriesDone, repositoriesFailed, tags, marked };
}

/** The verification under way, else the last one; null for none. */
export function verifyRunOf(progress: VerificationProgress | undefined, now: number): VerifyRun | null {
  if (!progress) return null;
  const { kind: _, startedAt: _start, endedAt: _end, error: _error, expected: _expected, ...counts } = progress;
  return { ...progressOf(progress, counts.rows, now), ...counts };
}
