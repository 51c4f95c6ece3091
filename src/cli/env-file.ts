// The file of `--env-file`: variables for those that the environment does not set.
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

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

/** The first variable whose value, not in quotes, would end at its `#`: half a secret is worse than none. */
function findCut(text: string): { readonly name: string; readonly line: number } | undefined {
  for (let at = 0; at < text.length; at = endOfLine(text, at) + 1) {
    const [head, name = ''] = ASSIGNMENT.exec(text.slice(at, endOfLine(text, at))) ?? [];
    if (head === undefined) continue;
    const from = at + head.length;
    const quotedEnd = endOfQuoted(text, from);
    if (quotedEnd === undefined && text.slice(from, endOfLine(text, from)).includes('#')) {
      return { name, line: lineOf(text, at) };
    }
    at = quotedEnd ?? from;
  }
  return undefined;
}

/** Adds the variables of a file to `env`, whose own win. @throws Error with the file and what to do, in a line */
export function loadEnvFile(path: string, env: NodeJS.ProcessEnv): void {
  let text: string;
  try {
    // What Windows editors put before the first line would be part of its name.
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    throw new Error(`--env-file: ${JSON.stringify(path)} cannot be read`, { cause });
  }
  const cut = findCut(text);
  if (cut) {
    const where = `${JSON.stringify(path)}, line ${cut.line}`;
    const advice = 'put the value in quotes, or a comment on a line of its own';
    throw new Error(
      `--env-file: ${where}: ${cut.name} has a # outside of quotes, where its value would end: ${advice}`,
    );
  }
  for (const [name, value] of Object.entries(parseEnv(text))) env[name] ??= value;
}
