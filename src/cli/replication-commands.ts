// The commands about replication, as the command line declares them; each loads what it needs when it runs.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { inspectConfig } from '../config/config.ts';
import { parseRepositoryFilter, type RepositoryFilter } from '../config/repository-filter.ts';

interface Options {
  readonly repository?: RepositoryFilter;
  readonly json?: true;
  readonly yes?: true;
  readonly rehash?: true;
  readonly full?: true;
  readonly watch?: true;
  readonly failed?: true;
  readonly follow?: true;
  readonly limit?: number;
}

const SERVER = 'A running server is asked on GEO_ADMIN_LISTEN, with GEO_ADMIN_TOKEN.';
const DATABASE = `${SERVER}
Where none runs, the database in GEO_DATA_DIR is used.`;

const FOLLOWED = `${SERVER}
Where none runs, this process does the work, after what every start begins with.
Ctrl-C ends the waiting: a server goes on; without one the rest waits for the next start.`;

const VERIFY = `Tags, manifests and links are looked up in the local registry, down to the last byte of
each blob; bytes that were not read for 30 days are read and hashed, 32 MiB a second at the most.
What is missing is copied again; what is wrong is listed as damaged, and served from the primary.
${FOLLOWED}`;

function after(text: string, exitCodes: Readonly<Record<number, string>> = {}): string {
  const codes = Object.entries({ 0: 'done', 1: 'it could not be done', 2: 'wrong usage', ...exitCodes });
  return ['', text, '', 'Exit codes:', ...codes.map(([code, meaning]) => `  ${code.padEnd(3)}  ${meaning}`)].join('\n');
}

function readRepositories(text: string): RepositoryFilter {
  try {
    return parseRepositoryFilter(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

function repositoryOption(purpose = 'only these'): Option {
  const help = `${purpose}: group/project, group/*, group/**, several separated by commas`;
  return new Option('--repository <glob>', help).argParser(readRepositories);
}

/** Ends the process later with the code that a command answers. */
function ending(command: (options: Options) => Promise<number>): (options: Options) => Promise<void> {
  return async (options) => {
    process.exitCode = await command(options);
  };
}

const ATTENTION = 'a person should look: failed, unsupported, damaged, held, degraded, or stopped';

function fullOption(): Option {
  return new Option('--full', 'whole digests and names, however wide that is');
}

function addStatus(program: Command): void {
  program
    .command('status')
    .description('print how the site does: what is wrong, tags by state, lag, removals on hold')
    .addOption(repositoryOption('a line for each of these, as the command repositories prints'))
    .option('--json', 'as JSON, as GET /api/status or /api/replication/repositories has it')
    .addOption(fullOption())
    .addOption(
      new Option('--watch', 'draw it anew each second, with the last pulls, until Ctrl-C').conflicts([
        'json',
        'repository',
      ]),
    )
    .addHelpText('after', after(DATABASE, { 3: ATTENTION, 130: 'interrupted' }))
    .action(
      ending(async ({ watch, repository, ...options }) => {
        const { config } = inspectConfig(process.env);
        if (repository)
          return (await import('./repositories.ts')).printRepositories(config, { repository, ...options });
        if (watch) return (await import('./watch.ts')).watchStatus(config, options);
        return (await import('./status.ts')).printStatus(config, options);
      }),
    );
}

function addRepositories(program: Command): void {
  program
    .command('repositories')
    .description('print a line for each repository: tags by state, last sync, checksum')
    .addOption(repositoryOption())
    .option('--failed', 'only those with failed images')
    .option('--json', 'as JSON, as GET /api/replication/repositories has it')
    .addOption(fullOption())
    .addHelpText('after', after(DATABASE, { 3: 'one of them has failed images' }))
    .action(
      ending(async (options) =>
        (await import('./repositories.ts')).printRepositories(inspectConfig(process.env).config, options),
      ),
    );
}

function readLimit(text: string): number {
  const limit = /^\d+$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > PULLS_KEPT) throw new InvalidArgumentError(`It is no number from 1 to ${PULLS_KEPT}.`);
  return limit;
}

// How many a server keeps.
const PULLS_KEPT = 200;
const PULLS_SHOWN = 20;

function addPulls(program: Command): void {
  program
    .command('pulls')
    .description('print the last pulls, the newest last: who, what, from where, how long')
    .addOption(new Option('-n, --limit <number>', 'how many').argParser(readLimit).default(PULLS_SHOWN))
    .option('-f, --follow', 'then print those that come, until Ctrl-C')
    .option('--failed', 'only those that were answered 4xx or 5xx')
    .option('--json', 'as JSON, one pull a line')
    .addOption(fullOption())
    .addHelpText('after', after(`${SERVER}\nIt keeps the last ${PULLS_KEPT}.`, { 130: 'interrupted' }))
    .action(
      ending(async (options) => {
        const { limit = PULLS_SHOWN, ...rest } = options;
        return (await import('./pulls.ts')).printPulls(inspectConfig(process.env).config, { limit, ...rest });
      }),
    );
}

function addBackfill(program: Command): void {
  program
    .command('backfill')
    .alias('resync')
    .description('copy all that the primary has to this site, and wait until it is here')
    .addOption(repositoryOption())
    .option('--json', 'print the end as JSON')
    .addHelpText('after', after(FOLLOWED, { 3: 'something failed', 130: 'interrupted' }))
    .action(
      ending(async (options) => {
        const { backfill } = await import('./backfill.ts');
        const { config } = inspectConfig(process.env);
        return backfill(config, options, async (...args) => (await import('./alone.ts')).startAlone(...args));
      }),
    );
}

function addVerify(program: Command): void {
  program
    .command('verify')
    .alias('reverify')
    .description('verify what is in the local registry, and wait for the end')
    .addOption(repositoryOption())
    .option('--rehash', 'read every blob, however lately it was read')
    .option('--json', 'print the end as JSON')
    .addHelpText('after', after(VERIFY, { 3: 'not all of it is right, or could be looked at', 130: 'interrupted' }))
    .action(
      ending(async (options) => {
        const { verify } = await import('./verify.ts');
        const { config } = inspectConfig(process.env);
        return verify(config, options, async (...args) => (await import('./alone.ts')).startAlone(...args));
      }),
    );
}

function addRetry(program: Command): void {
  program
    .command('retry')
    .alias('resync-failed')
    .description('try again now what failed, or was not supported')
    .addOption(repositoryOption())
    .option('--cause <text>', 'only what fails for this reason, in the words of status')
    .option('--json', 'print how many as JSON')
    .addHelpText('after', after(DATABASE))
    .action(
      ending(async (options) => {
        const { retry } = await import('./retry.ts');
        return retry(inspectConfig(process.env).config, options);
      }),
    );
}

function addPromoteCheck(program: Command): void {
  program
    .command('promote-check')
    .description('tell whether this secondary is whole, so that its site may become the primary')
    .option('--json', 'print all checks as JSON')
    .addHelpText('after', after(DATABASE, { 0: 'it may be promoted', 1: 'it cannot be told', 3: 'it is not whole' }))
    .action(
      ending(async (options) => {
        const { promoteCheck } = await import('./promote-check.ts');
        return promoteCheck(inspectConfig(process.env).config, options);
      }),
    );
}

function addConfirmRemovals(program: Command): void {
  program
    .command('confirm-removals')
    .description('let removals on hold be carried out, after showing them')
    .addOption(repositoryOption())
    .option('--yes', 'do not ask')
    .option('--json', 'print how many as JSON')
    .addHelpText('after', after(DATABASE))
    .action(
      ending(async (options) => {
        const { confirmRemovals } = await import('./confirm-removals.ts');
        return confirmRemovals(inspectConfig(process.env).config, options);
      }),
    );
}

/** Adds `status`, `pulls`, `repositories`, `backfill`, `verify`, `retry` and `confirm-removals`. */
export function addReplicationCommands(program: Command): void {
  addStatus(program);
  addPulls(program);
  addRepositories(program);
  addBackfill(program);
  addVerify(program);
  addRetry(program);
  addConfirmRemovals(program);
  addPromoteCheck(program);
}
