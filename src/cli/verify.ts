// The command `verify`: what is in the secondary is verified, by the running server or by this process.
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { bytesText, counted, countText, visibleText } from '../status/figures.ts';
import type { RepositoryFilter } from '../status/row-listing.ts';
import type { VerifyRun } from '../status/snapshot.ts';
import { EXIT } from './exit-code.ts';
import { LOOK_EVERY, runFollowed, type StartAlone } from './following.ts';
import { requireKnown } from './known-repository.ts';
import { createPace } from './pace.ts';
import { showVerify, type ProgressView } from './progress.ts';
import type { Site } from './site.ts';

/** What the command line gives. */
export interface VerifyCommandOptions {
  readonly repository?: RepositoryFilter;
  readonly rehash?: true;
  readonly json?: true;
}

const LEFT = {
  served: 'the server goes on with the verification; see status',
  alone: 'the verification ended early; nothing is lost',
};

/** Runs a verification to its end, or until a signal; answers the exit code. */
export function verify(config: Config, options: VerifyCommandOptions, startAlone: StartAlone): Promise<number> {
  return runFollowed<VerifyRun>(config, startAlone, (site, view, signal) => follow(site, options, view, signal), {
    name: 'verify',
    tell: (run) => tell(run, options.json),
    left: LEFT,
  });
}

async function follow(
  { administration }: Site,
  { repository, rehash }: VerifyCommandOptions,
  view: ProgressView,
  signal: AbortSignal,
): Promise<VerifyRun | undefined> {
  await requireKnown(administration, repository);
  const before = (await administration.snapshot()).replication.runs.verify;
  const answer = await administration.verify(repository, { rehash });
  if (!answer.started) view.show('a verification runs already: following it');
  const isOurs = (run: VerifyRun | null): run is VerifyRun =>
    run !== null && (answer.run ? run.startedAt === answer.run.startedAt : run.startedAt !== before?.startedAt);
  const paceOf = createPace();
  while (!signal.aborted) {
    const snapshot = await administration.snapshot();
    const { verify: last } = snapshot.replication.runs;
    const run = isOurs(last) ? last : null;
    showVerify(view, run, snapshot, paceOf, repository === undefined);
    if (run && run.endedAt !== null) return run;
    await delay(LOOK_EVERY, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

function tell(run: VerifyRun, json: true | undefined): number {
  const { repositories, rows, verified, marked, unknown, blobs, bytes, damaged, healed, error } = run;
  if (json) process.stdout.write(`${JSON.stringify({ run })}\n`);
  else {
    const seen = `${counted(repositories, 'repository', 'repositories')}, ${counted(rows, 'tag')}, ${counted(blobs, 'blob')}`;
    const found = [
      `${countText(verified)} right`,
      `${countText(marked)} queued to be copied again`,
      `${countText(unknown)} not known`,
      `${countText(damaged)} damaged`,
      `${countText(healed)} whole again`,
    ].join(', ');
    process.stdout.write(`verification ended: ${seen}, ${bytesText(bytes)} read; ${found}\n`);
  }
  if (error !== null) throw new Error(`the verification ended early: ${visibleText(error)}`);
  return marked + unknown + damaged > 0 ? EXIT.attention : EXIT.ok;
}
