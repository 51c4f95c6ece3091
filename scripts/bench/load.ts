// Load generators, each in a process of its own: what is measured shares no event loop with what measures.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Job, Outcome } from './jobs.ts';

/** A load generator; one job at a time. */
export interface Load {
  /** Does a job. @throws Error where a connection broke off. */
  run(job: Job): Promise<Outcome>;
  /** The same; also an Error where any answer was no 200. */
  runAll(job: Job): Promise<Outcome>;
  stop(): void;
}

type Reply = { readonly outcome: Outcome } | { readonly error: string };

const processFile = fileURLToPath(new URL('./load-process.ts', import.meta.url));

/** Starts one. It ends with this process at the latest. */
export function startLoad(): Load {
  const child = fork(processFile, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  async function run(job: Job): Promise<Outcome> {
    child.send(job);
    const [reply] = (await once(child, 'message')) as [Reply];
    if ('error' in reply) throw new Error(`load generator: ${reply.error}`);
    return reply.outcome;
  }
  return {
    run,
    async runAll(job) {
      const outcome = await run(job);
      if (outcome.refused > 0) throw new Error(`${outcome.refused} of ${outcome.answers} answers were no 200`);
      return outcome;
    },
    stop: () => void child.disconnect(),
  };
}
