// How init gets its answers: at a terminal by asking, until one is right; else from flags, with a line for what is missing.
import { machine, WrongValue, type Parser } from '../config/variable.ts';
import { visibleText } from '../status/figures.ts';

/** Why an answer cannot be used, in one line. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

/** A question; `check` turns the text into the answer, or throws a {@link WrongAnswer}. */
export interface Question<T> {
  /** `--primary <url>`. */
  readonly flag: string;
  /** What is asked for, in words: `the primary registry's URL`. */
  readonly what: string;
  /** What the flag says. */
  readonly given?: string | undefined;
  /** The answer of an earlier run, or one that was found. */
  readonly known?: string | undefined;
  /** No answer is an answer, too. */
  readonly isOptional?: boolean;
  readonly check: (text: string) => T | Promise<T>;
}

/** Gets answers. */
export interface Asker {
  readonly isTerminal: boolean;
  /** The answer; undefined where it is missing or wrong, and a line of `problems` says so, or where it is optional. */
  ask<T>(question: Question<T>): Promise<T | undefined>;
  confirm(message: string, fallback: boolean): Promise<boolean>;
  /** What is missing or wrong: a line each. */
  readonly problems: string[];
}

/** A check by the parser of a variable. */
export function checkedBy<T>(parser: Parser<T>): (text: string) => T {
  return (text) => {
    try {
      return parser.parse(text, machine);
    } catch (error) {
      if (!(error instanceof WrongValue)) throw error;
      throw new WrongAnswer(`${JSON.stringify(text)} ${error.message}; allowed: ${parser.allowed}`);
    }
  };
}

/** What is wrong with a text, or its answer. */
async function tried<T>(
  { check }: Question<T>,
  text: string,
): Promise<{ readonly answer: T } | { readonly wrong: string }> {
  try {
    return { answer: await check(text.trim()) };
  } catch (error) {
    if (!(error instanceof WrongAnswer)) throw error;
    return { wrong: visibleText(error.message) };
  }
}

/** Answers from flags and what is known. */
export function createFlagAsker(): Asker {
  const problems: string[] = [];
  return {
    isTerminal: false,
    problems,
    async ask(question) {
      const { flag, what, given, known, isOptional } = question;
      const text = given ?? known;
      if (text === undefined || text === '') {
        if (!isOptional) problems.push(`${flag}: missing: ${what}`);
        return undefined;
      }
      const result = await tried(question, text);
      if ('answer' in result) return result.answer;
      problems.push(`${flag}: ${result.wrong}`);
      return undefined;
    },
    confirm: async (_, fallback) => fallback,
  };
}

/** Answers from flags, and from a person for all that these do not say. */
export function createTerminalAsker(): Asker {
  const problems: string[] = [];
  return {
    isTerminal: true,
    problems,
    async ask<T>(question: Question<T>): Promise<T | undefined> {
      const { what, given, known, isOptional } = question;
      if (given !== undefined) {
        const result = await tried(question, given);
        if ('answer' in result) return result.answer;
        process.stdout.write(`${question.flag}: ${result.wrong}\n`);
      }
      const { default: input } = await import('@inquirer/input');
      let found: { readonly answer: T } | undefined;
      const validate = async (text: string): Promise<boolean | string> => {
        if (text.trim() === '') return isOptional || 'an answer is needed';
        const result = await tried(question, text);
        if ('wrong' in result) return result.wrong;
        found = result;
        return true;
      };
      const message = `${what.slice(0, 1).toUpperCase()}${what.slice(1)}:`;
      await input({ message, validate, ...(known === undefined ? {} : { default: known }) });
      return found?.answer;
    },
    async confirm(message, fallback) {
      const { default: confirm } = await import('@inquirer/confirm');
      return confirm({ message, default: fallback });
    },
  };
}
