// The command line: reads arguments and the configuration, runs one command, and turns failures into lines and exit codes.
import { Argument, Command, CommanderError, Option } from 'commander';
import { completionOf, SHELLS } from './cli/completion.ts';
import { printConfig } from './cli/config.ts';
import { addDoctor } from './cli/doctor-command.ts';
import { declaredOf } from './cli/declared.ts';
import { EnvFileError, loadEnvFile, type Origins } from './cli/env-file.ts';
import { EXIT } from './cli/exit-code.ts';
import { addInit } from './cli/init-command.ts';
import { manPage } from './cli/man.ts';
import { errorLines, say, warn } from './cli/output.ts';
import { endOnSignals } from './cli/interrupt.ts';
import { addReplicationCommands } from './cli/replication-commands.ts';
import { serve } from './cli/serve.ts';
import { refuseColour } from './cli/terminal.ts';
import { printToken, repositoryName, tokenLifetime } from './cli/token.ts';
import { ConfigError, inspectConfig, loadConfig } from './config/config.ts';
import { configurationHelp } from './config/table.ts';
import { programVersion } from './status/version.ts';

const TOKEN_LIFETIME = '5m';

const COMPLETION = `
  bash  source <(geo-registry-proxy completion bash)
  zsh   geo-registry-proxy completion zsh > "\${fpath[1]}/_geo-registry-proxy"
  fish  geo-registry-proxy completion fish > ~/.config/fish/completions/geo-registry-proxy.fish`;

const MAN = `
  geo-registry-proxy man > geo-registry-proxy.8
  man -l geo-registry-proxy.8`;

const SERVE = `
Exit codes:
  0    stopped in good order
  1    it could not start, or not stop in good order
  2    wrong usage
  78   the configuration is refused: another start ends the same way until it is mended`;

/**
 * Runs one command line (without node and script). Ends the process on failure: 1, 2 for wrong usage, or 78 where `serve`
 * refuses its configuration.
 */
export async function runCli(args: readonly string[]): Promise<void> {
  let command: string | undefined;
  try {
    const program = createProgram((name) => (command = name));
    await program.parseAsync(args.length === 0 ? ['--help'] : args, { from: 'user' });
  } catch (error) {
    // The entry says what installs it.
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') throw error;
    process.exit(report(error, command));
  }
}

function createProgram(onCommand: (name: string) => void): Command {
  let origins: Origins | undefined;
  const program = new Command('geo-registry-proxy')
    .description("A read-through pull proxy in front of a secondary site's container registry.")
    .version(programVersion(), '-v, --version', 'print the version')
    .option('--env-file <file>', 'read variables from this file too; those of the environment win')
    .option('--no-color', 'no colour; NO_COLOR does the same, and FORCE_COLOR the opposite')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'geo-registry-proxy: ')) })
    .addHelpText('after', `\n${configurationHelp()}`)
    .exitOverride()
    .hook('preAction', (command, action) => {
      onCommand(action.name());
      // The server has an order of its own for its end.
      if (action.name() !== 'serve') endOnSignals();
      const { envFile, color } = command.opts<{ envFile?: string; color: boolean }>();
      if (!color) refuseColour();
      if (envFile !== undefined) origins = loadEnvFile(envFile, process.env);
    });
  addInit(program);
  addServe(program);
  addReplicationCommands(program);
  addDoctor(program);
  addConfig(program, () => origins);
  addToken(program);
  addVersion(program);
  addCompletion(program);
  addMan(program);
  return program;
}

function addServe(program: Command): void {
  program
    .command('serve')
    .description('run the proxy until SIGTERM or SIGINT')
    .addHelpText('after', SERVE)
    .action(async () => {
      const config = loadConfig(process.env);
      // Only here: the other commands start without the server's libraries.
      const { startProxy } = await import('./main.ts');
      await serve(config, startProxy);
    });
}

function addConfig(program: Command, originsOf: () => Origins | undefined): void {
  program
    .command('config')
    .description('print the effective configuration and where each value came from, secrets left out')
    .option('--json', 'as JSON')
    .addOption(new Option('--check', 'only say whether it is right').conflicts('json'))
    .action((options: { json?: true; check?: true }) => {
      printConfig(inspectConfig(process.env), options, originsOf());
    });
}

function addToken(program: Command): void {
  program
    .command('token')
    .description('mint a token that may pull from one repository, to try registries by hand')
    .requiredOption('--repository <name>', 'the repository', repositoryName)
    .addOption(
      new Option('--ttl <duration>', 'how long it is valid')
        .argParser(tokenLifetime)
        .default(tokenLifetime(TOKEN_LIFETIME), TOKEN_LIFETIME),
    )
    .action((options: { repository: string; ttl: number }) => printToken(inspectConfig(process.env).config, options));
}

function addVersion(program: Command): void {
  program
    .command('version')
    .description('print the version')
    .action(() => void process.stdout.write(`${programVersion()}\n`));
}

function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the completion of commands and options for a shell')
    .addArgument(new Argument('<shell>', 'whose').choices(SHELLS))
    .addHelpText('after', COMPLETION)
    .action((shell: (typeof SHELLS)[number]) => {
      process.stdout.write(completionOf(declaredOf(program), shell));
    });
}

function addMan(program: Command): void {
  program
    .command('man')
    .description('print the manual page, for man')
    .addHelpText('after', MAN)
    .action(() => void process.stdout.write(manPage(declaredOf(program), programVersion())));
}

function report(error: unknown, command: string | undefined): number {
  // Commander has written its message, or the help or version that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 || error.code === 'commander.help' ? 0 : 2;
  if (error instanceof ConfigError) error.warnings.forEach(warn);
  errorLines(error).forEach(say);
  const isRefused = error instanceof ConfigError || error instanceof EnvFileError;
  return isRefused && command === 'serve' ? EXIT.refused : EXIT.failed;
}
