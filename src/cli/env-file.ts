// The file of `--env-file`: variables for those that the environment does not set.
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

/** A file of `--env-file` that cannot be used; the message, with its cause, is one line. */
export class EnvFileError extends Error {
  override readonly name = 'EnvFileError';
}

const ASSIGNMENT = /^\s*(?:export\s+)?([\w.-]+)\s*=[^\S\n]*/;

function lineOf(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}

/** Where a quoted value ends that begins at `from`; undefined where it has no end, and so is none. */
function endOfQuoted(text: string, from: number): number | undefined {
  const quote = text[from];
  if (quote === undefined || !`"'\``.includes(quote)) return undefined;
  const end = text.indexOf(quote, from + 1);
  return end < 0 ? undefined : end + 1;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

/** One assignment of the file; `isCut`: its value, not in quotes, would end at a `#`. */
interface Assignment {
  readonly name: string;
  readonly line: number;
  readonly isCut: boolean;
}

function* assignmentsOf(text: string): Generator<Assignment> {
  for (let at = 0; at < text.length; at = endOfLine(text, at) + 1) {
    const [head, name = ''] = ASSIGNMENT.exec(text.slice(at, endOfLine(text, at))) ?? [];
    if (head === undefined) continue;
    const from = at + head.length;
    const quotedEnd = endOfQuoted(text, from);
    const isCut = quotedEnd === undefined && text.slice(from, endOfLine(text, from)).includes('#');
    yield { name, line: lineOf(text, at), isCut };
    at = quotedEnd ?? from;
  }
}

/** Where variables were read from: `<file>:<line>` by name. */
export type Origins = ReadonlyMap<string, string>;

/**
 * Adds the variables of a file to `env`, whose own win; answers where those that it added stand.
 * @throws EnvFileError with the file and what to do
 */
export function loadEnvFile(path: string, env: NodeJS.ProcessEnv): Origins {
  let text: string;
  try {
    // What Windows editors put before the first line would be part of its name.
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    throw new EnvFileError(`--env-file: ${JSON.stringify(path)} cannot be read`, { cause });
  }
  const assignments = [...assignmentsOf(text)];
  // Half a secret is worse than none.
  const cut = assignments.find(({ isCut }) => isCut);
  if (cut) {
    const where = `${JSON.stringify(path)}, line ${cut.line}`;
    const advice = 'put the value in quotes, or a comment on a line of its own';
    throw new EnvFileError(
      `--env-file: ${where}: ${cut.name} has a # outside of quotes, where its value would end: ${advice}`,
    );
  }
  const lines = new Map(assignments.map(({ name, line }) => [name, line]));
  const added = Object.entries(parseEnv(text)).filter(([name]) => env[name] === undefined);
  for (const [name, value] of added) env[name] = value;
  return new Map(added.map(([name]) => [name, `${path}${lines.has(name) ? `:${lines.get(name)}` : ''}`]));
}
