// Configuration: reads the environment by the one declaration, or refuses it with a line for each mistake.
import { createDirectory } from './directory.ts';
import { conflict, missing, type Reading, readVariable } from './reading.ts';
import { unknownVariables } from './unknown.ts';
import { type Effects, type Known, machine, type Parser, type Variable } from './variable.ts';
import { variables } from './variables.ts';

type Variables = typeof variables;
type Property = keyof Variables;
type Value<P extends Property> = Variables[P]['value'] extends Parser<infer T> ? T : never;
type Certain = {
  [P in Property]: Variables[P] extends { default: string } | { derived: unknown } | { required: true } ? P : never;
}[Property];

/** The values of all variables: bytes for sizes, milliseconds for durations, absolute paths; `warnings` are lines for the log. */
export type Config = { readonly [P in Certain]: Value<P> } & {
  readonly [P in Exclude<Property, Certain>]?: Value<P>;
} & { readonly warnings: readonly string[] };

/** One variable's effective value as text; `undefined` when it has none, and a secret's is `(secret)`. */
export interface Setting {
  readonly name: string;
  readonly value: string | undefined;
  readonly source: 'environment' | 'file' | 'default';
  /** The file of `<name>_FILE`, where `source` is `file`. */
  readonly file?: string;
}

/** A wrong configuration: each line of the message names a variable, what was given and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  readonly warnings: readonly string[];

  constructor(problems: readonly string[], warnings: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
    this.warnings = warnings;
  }
}

/** Reads the configuration and creates the data directory; throws a {@link ConfigError}. */
export function loadConfig(env: NodeJS.ProcessEnv, effects: Effects = machine): Config {
  const { config } = inspectConfig(env, effects);
  createDirectory(config.dataDir);
  return config;
}

/** Reads the configuration as {@link loadConfig} does, but leaves no trace on the machine; throws a {@link ConfigError}. */
export function inspectConfig(
  env: NodeJS.ProcessEnv,
  effects: Effects = machine,
): { config: Config; settings: readonly Setting[] } {
  const known: Partial<Config> = {};
  const readings: Reading[] = [];
  for (const [property, variable] of Object.entries<Variable>(variables)) {
    const reading = readVariable(variable, env, known, effects);
    if (reading.value !== undefined) Object.assign(known, { [property]: reading.value });
    readings.push(reading);
  }
  const problems = readings.flatMap((reading) => problemOf(reading, known, env) ?? []);
  const warnings = [...readings.flatMap(({ variable }) => warningOf(variable, known) ?? []), ...unknownVariables(env)];
  if (problems.length > 0) throw new ConfigError(problems, warnings);
  // Without problems every certain property has its value, of the type that its parser gives.
  return { config: { ...known, warnings } as Config, settings: readings.map(settingOf) };
}

function problemOf(reading: Reading, known: Known, env: NodeJS.ProcessEnv): string | undefined {
  if (reading.problem !== undefined) return reading.problem;
  return reading.value === undefined ? missing(reading.variable, known, env) : conflict(reading, known);
}

function warningOf({ name, warn }: Variable, known: Known): string | undefined {
  const warning = warn?.(known);
  return warning === undefined ? undefined : `${name}: ${warning}`;
}

function settingOf({ variable, source, file, text, value }: Reading): Setting {
  const effective = typeof value === 'string' ? value : text;
  const shown = variable.secret && effective !== undefined ? '(secret)' : effective;
  return { name: variable.name, source, value: shown, ...(file === undefined ? {} : { file }) };
}
