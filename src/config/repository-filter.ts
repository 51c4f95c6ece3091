// Which repositories a person means: globs as in the configuration, given on a command line or to the admin API.
import { matchesRepository, repositoryGlobs } from './glob.ts';
import { machine, WrongValue } from './variable.ts';

/** The repositories that a text names; `exact` is the one that it can only be. */
export interface RepositoryFilter {
  readonly text: string;
  readonly matches: (name: string) => boolean;
  readonly exact?: string;
}

/** Reads globs separated by commas. @throws Error with what is wrong and what is allowed, in one line. */
export function parseRepositoryFilter(text: string): RepositoryFilter {
  const globs = readGlobs(text);
  const [only = '', ...others] = globs;
  const isExact = others.length === 0 && only.includes('/') && !/\*|\/$/.test(only);
  return {
    text,
    matches: (name) => matchesRepository(globs, name),
    ...(isExact ? { exact: only } : {}),
  };
}

function readGlobs(text: string): readonly string[] {
  const refuse = (problem: string, part = text, cause?: unknown): Error =>
    new Error(`${JSON.stringify(part.slice(0, 300))} ${problem}; allowed: ${repositoryGlobs.allowed}`, { cause });
  let globs: readonly string[];
  try {
    globs = repositoryGlobs.parse(text, machine);
  } catch (error) {
    if (error instanceof WrongValue) throw refuse(error.message, error.part);
    throw error;
  }
  // What a script's empty variable leaves must not mean everything.
  if (globs.length === 0) throw refuse('names no repository');
  return globs;
}
