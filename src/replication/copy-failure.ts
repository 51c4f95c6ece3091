// Why something could not be copied or removed now, in plain words, with the registry's answer that was the reason.
import type { Corrupt } from '../fill/filler.ts';
import { failureText, type Failure } from '../registry/answer.ts';

/** An image could not be copied now; `reason` in plain words. */
export class CopyFailed extends Error {
  /** What a registry answered, where that was the reason. */
  readonly failure: Failure | undefined;

  constructor(what: string, reason: string, failure?: Failure) {
    super(`${what}: ${reason}`);
    this.name = 'CopyFailed';
    this.failure = failure;
  }
}

/** The secondary takes no writes now (maintenance, garbage collection): nothing is wrong with the image. */
export class SecondaryReadOnly extends CopyFailed {
  constructor(what: string) {
    super(what, 'the secondary takes no writes');
  }
}

/** The secondary cannot hold it, now or later. */
export class Unsupported extends Error {}

/** It can be done once something else is in the secondary, or gone; `waitsFor` as in its row. */
export class Waiting extends CopyFailed {
  readonly waitsFor: string;

  constructor(waitsFor: string, what: string, reason: string, failure?: Failure) {
    super(what, reason, failure);
    this.waitsFor = waitsFor;
  }
}

/** The failure that a registry's answer means; `at` says which one, for people. */
export function copyFailure(what: string, answer: Failure | Corrupt, at: 'primary' | 'secondary'): CopyFailed {
  if (answer.kind === 'corrupt') return new CopyFailed(what, 'the primary gives wrong bytes');
  return new CopyFailed(what, failureText(answer, at), answer);
}
