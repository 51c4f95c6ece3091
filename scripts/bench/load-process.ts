// The process of a load generator: jobs in, outcomes out.
import { work, type Job } from './jobs.ts';

process.on('message', (job: Job) => {
  work(job).then(
    (outcome) => process.send!({ outcome }),
    (error: unknown) => process.send!({ error: (error as Error).message }),
  );
});
process.on('disconnect', () => process.exit());
