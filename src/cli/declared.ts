// The command line's declaration as data: what completions and the man page are made of.
import type { EventEmitter } from 'node:events';
import type { Command, Option } from 'commander';

/** A command with its own options; `after` is what its help ends with. */
export interface DeclaredCommand {
  readonly name: string;
  readonly aliases: readonly string[];
  /** `status [options]`. */
  readonly usage: string;
  readonly description: string;
  readonly options: readonly Option[];
  /** The words that its argument may be. */
  readonly words: readonly string[];
  readonly after: string;
}

/** Everything declared; `options` are those of all commands. */
export interface Declared {
  readonly name: string;
  readonly description: string;
  readonly options: readonly Option[];
  readonly commands: readonly DeclaredCommand[];
}

function textAfter(command: Command): string {
  let text = '';
  const context = { error: false, command, write: (more: string) => void (text += more) };
  // What `addHelpText` added; commander is an emitter, which its types leave out.
  (command as unknown as EventEmitter).emit('afterHelp', context);
  return text.trim();
}

function declaredCommand(command: Command): DeclaredCommand {
  return {
    name: command.name(),
    aliases: command.aliases(),
    usage: `${command.name()} ${command.usage()}`.trim(),
    description: command.description(),
    options: command.options,
    words: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    after: textAfter(command),
  };
}

/** @see Declared */
export function declaredOf(program: Command): Declared {
  const { options, commands } = program;
  return {
    name: program.name(),
    description: program.description(),
    options: [
      ...options,
      ...program
        .createHelp()
        .visibleOptions(program)
        .filter(({ long }) => long === '--help'),
    ],
    commands: commands.map(declaredCommand),
  };
}

/** A default as its help shows it; undefined where there is none to tell. */
export function defaultOf({ defaultValue, defaultValueDescription }: Option): string | undefined {
  if (defaultValueDescription !== undefined) return defaultValueDescription;
  return defaultValue === undefined || typeof defaultValue === 'boolean' ? undefined : String(defaultValue);
}

/** Whether an option takes a value that is the name of a file or a directory. */
export function isFile({ flags }: Option): boolean {
  return /<(?:file|dir)>/.test(flags);
}
