// Reads one variable: from the environment, from the file that holds a secret, or from its default.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemReason } from './system-reason.ts';
import { type Effects, type Known, type Variable, WrongValue } from './variable.ts';

/** What was found for one variable: its text and value, or the line that refuses it, or nothing at all. */
export interface Reading {
  readonly variable: Variable;
  readonly source: 'environment' | 'file' | 'default';
  /** The file that holds the value, where `source` is `file`. */
  readonly file?: string;
  readonly text?: string;
  readonly value?: unknown;
  readonly problem?: string;
}

/** Reads one variable; `known` holds the values of those declared before it. */
export function readVariable(variable: Variable, env: NodeJS.ProcessEnv, known: Known, effects: Effects): Reading {
  const { text, ...reading } = find(variable, env, known, effects);
  if (text === undefined) return reading;
  try {
    return { ...reading, text, value: variable.value.parse(text, effects) };
  } catch (error) {
    if (!(error instanceof WrongValue)) throw error;
    return { ...reading, text, problem: refusal(variable, error.part ?? text, error.message) };
  }
}

/** The line for a variable that has no value though this configuration needs one. */
export function missing(
  { name, required, requiredWhen, value }: Variable,
  known: Known,
  env: NodeJS.ProcessEnv,
): string | undefined {
  const reason = requiredWhen?.(known, env);
  if (!required && reason === undefined) return undefined;
  return `${name}: not set${reason === undefined ? '' : `, and required because ${reason}`}; allowed: ${value.allowed}`;
}

/** The line for a variable whose value contradicts another's. */
export function conflict({ variable, text = '' }: Reading, known: Known): string | undefined {
  const problem = variable.conflict?.(known);
  return problem === undefined ? undefined : `${variable.name}: ${quoted(text)} ${problem}`;
}

function find(variable: Variable, env: NodeJS.ProcessEnv, known: Known, effects: Effects): Reading {
  const text = env[variable.name]?.trim();
  const path = variable.secret ? env[`${variable.name}_FILE`]?.trim() : undefined;
  if (text && path) {
    const problem = `${variable.name}: given twice, also as ${variable.name}_FILE; allowed: one of the two`;
    return { variable, source: 'environment', problem };
  }
  if (path) {
    const problem = inQuotes(`${variable.name}_FILE`, path);
    return problem === undefined ? readSecret(variable, path, effects) : { variable, source: 'file', problem };
  }
  // An empty variable is what compose files and unit files make of one that is not set.
  if (text) {
    const problem = inQuotes(variable.name, text);
    return { variable, source: 'environment', ...(problem === undefined ? { text } : { problem }) };
  }
  const fallback = variable.default ?? variable.derived?.(known, effects);
  return { variable, source: 'default', ...(fallback !== undefined && { text: fallback }) };
}

/** The line for a value with its quotes, as `docker run --env-file` passes them on; no variable's value has any. */
function inQuotes(name: string, text: string): string | undefined {
  if (!/^(["'`]).*\1$/s.test(text) || text.length < 2) return undefined;
  return `${name}: the value is in quotes (${text[0]}); remove the quotes: docker's --env-file passes them on as part of the value`;
}

function readSecret(variable: Variable, path: string, { cwd }: Effects): Reading {
  const refuse = (what: string): Reading => {
    const problem = `${variable.name}_FILE: ${quoted(path)} ${what}; allowed: a file that holds ${variable.value.allowed}`;
    return { variable, source: 'file', problem };
  };
  try {
    const text = readFileSync(resolve(cwd(), path), 'utf8').replace(/\r?\n$/, '');
    return text === '' ? refuse('is empty') : { variable, source: 'file', file: path, text };
  } catch (error) {
    return refuse(`cannot be read (${systemReason(error)})`);
  }
}

function refusal({ name, secret, value }: Variable, text: string, problem: string): string {
  return `${name}: ${secret ? 'the given value' : quoted(text)} ${problem}; allowed: ${value.allowed}`;
}

// One line, never too long, and without what people paste by mistake: keys, and passwords and tokens in URLs.
function quoted(text: string): string {
  if (text.includes('-----BEGIN')) return 'a PEM text';
  const harmless = text.replace(/^([a-z]+:\/\/)?.*@/is, '$1***@').replace(/\?.*$/s, '?***');
  return JSON.stringify(harmless.length > 100 ? `${harmless.slice(0, 100)}…` : harmless);
}
