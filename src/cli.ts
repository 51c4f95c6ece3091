// The command line: reads arguments and the configuration, runs one command, and turns failures into lines and exit codes.
import { Command, CommanderError, Option } from 'commander';
import { printConfig } from './cli/config.ts';
import { addDoctor } from './cli/doctor-command.ts';
import { loadEnvFile } from './cli/env-file.ts';
import { errorLines, say, warn } from './cli/output.ts';
import { addReplicationCommands } from './cli/replication-commands.ts';
import { serve } from './cli/serve.ts';
import { printToken, repositoryName, tokenLifetime } from './cli/token.ts';
import { ConfigError, inspectConfig, loadConfig } from './config/config.ts';
import { configurationHelp } from './config/table.ts';
import { programVersion } from './status/version.ts';

/** Runs one command line (without node and script). Ends the process on failure: 1, or 2 for wrong usage. */
export async function runCli(args: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(args.length === 0 ? ['--help'] : args, { from: 'user' });
  } catch (error) {
    process.exit(report(error));
  }
}

function createProgram(): Command {
  const program = new Command('geo-registry-proxy')
    .description("A read-through pull proxy in front of a secondary site's container registry.")
    .version(programVersion())
    .option('--env-file <file>', 'read variables from this file too; those of the environment win')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'geo-registry-proxy: ')) })
    .addHelpText('after', `\n${configurationHelp()}`)
    .exitOverride()
    .hook('preAction', (command) => {
      const { envFile } = command.opts<{ envFile?: string }>();
      if (envFile !== undefined) loadEnvFile(envFile, process.env);
    });
  addServe(program);
  addReplicationCommands(program);
  addDoctor(program);
  addConfig(program);
  addToken(program);
  return program;
}

function addServe(program: Command): void {
  program
    .command('serve')
    .description('run the proxy until SIGTERM or SIGINT')
    .action(async () => {
      const config = loadConfig(process.env);
      // Only here: the other commands start without the server's libraries.
      const { startProxy } = await import('./main.ts');
      await serve(config, startProxy);
    });
}

function addConfig(program: Command): void {
  program
    .command('config')
    .description('print the effective configuration, secrets left out')
    .option('--json', 'as JSON')
    .addOption(new Option('--check', 'only say whether it is right').conflicts('json'))
    .action((options: { json?: true; check?: true }) => printConfig(inspectConfig(process.env), options));
}

function addToken(program: Command): void {
  program
    .command('token')
    .description('mint a token that may pull from one repository, to try registries by hand')
    .requiredOption('--repository <name>', 'the repository', repositoryName)
    .option('--ttl <duration>', 'how long it is valid', tokenLifetime, tokenLifetime('5m'))
    .action((options: { repository: string; ttl: number }) => printToken(inspectConfig(process.env).config, options));
}

function report(error: unknown): number {
  // Commander has written its message, or the help or version that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 || error.code === 'commander.help' ? 0 : 2;
  if (error instanceof ConfigError) error.warnings.forEach(warn);
  errorLines(error).forEach(say);
  return 1;
}
