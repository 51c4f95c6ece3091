// Repository globs of selective sync: patterns that match on the borders of path segments.
import { commaSeparated } from './value.ts';
import { type Parser, WrongValue } from './variable.ts';

// Names have 255 at the most.
const GLOB_MAX = 512;

/** Repository globs separated by commas, in the form that {@link matchesRepository} takes. */
export const repositoryGlobs: Parser<string[]> = {
  allowed:
    'repository globs in lower case separated by commas, such as group, group/*, group/**/cache or group/project',
  parse(text) {
    const globs = commaSeparated(text);
    // Nothing named must not mean everything.
    if (globs.length === 0 && text !== '') throw new WrongValue('names no repository');
    for (const glob of globs) {
      const problem = globProblem(glob);
      if (problem !== undefined) throw new WrongValue(problem, glob);
    }
    return globs;
  },
};

/**
 * Whether a repository's name matches one of the globs. `*` stands for any part of one segment, `**` for any number of
 * segments, of which one at the end needs at least one; `group` alone takes the repository `group` and all below it,
 * `group/` all below it; a longer path without a star is exactly that repository. No glob matches nothing.
 */
export function matchesRepository(globs: readonly string[], name: string): boolean {
  const segments = name.split('/');
  return globs.some((glob) => alternatives(glob).some((pattern) => matches(pattern, segments)));
}

function alternatives(glob: string): string[][] {
  if (glob.endsWith('/')) return [[...glob.slice(0, -1).split('/'), '**']];
  const pattern = glob.split('/');
  return pattern.length === 1 && !glob.includes('*') ? [pattern, [...pattern, '**']] : [pattern];
}

/**
 * Whether `pattern`, in which `star` stands for any number of items, takes all of `items`. It goes back to the last star
 * only, which is enough: no pattern costs more than the product of both lengths.
 */
function matchesItems(
  pattern: ArrayLike<string>,
  items: ArrayLike<string>,
  star: string,
  isSame: (pattern: string, item: string) => boolean,
): boolean {
  let [at, item] = [0, 0];
  let lastStar: { readonly next: number; from: number } | undefined;
  while (item < items.length) {
    if (at < pattern.length && pattern[at] === star) {
      at += 1;
      lastStar = { next: at, from: item };
    } else if (at < pattern.length && isSame(pattern[at]!, items[item]!)) {
      at += 1;
      item += 1;
    } else if (lastStar) {
      lastStar.from += 1;
      [at, item] = [lastStar.next, lastStar.from];
    } else return false;
  }
  while (at < pattern.length && pattern[at] === star) at += 1;
  return at === pattern.length;
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  // At the end it needs one segment at least.
  const whole = pattern.at(-1) === '**' ? [...pattern, '*'] : pattern;
  return matchesItems(whole, segments, '**', matchesSegment);
}

function matchesSegment(pattern: string, segment: string): boolean {
  return matchesItems(pattern, segment, '*', (one, other) => one === other);
}

function globProblem(glob: string): string | undefined {
  if (glob.length > GLOB_MAX) return `is longer than ${GLOB_MAX} characters`;
  if (/[A-Z]/.test(glob)) return 'has upper case, which no repository has';
  if (!/^[a-z0-9._*/-]+$/.test(glob)) return 'has characters that no repository has';
  const segments = glob.replace(/\/$/, '').split('/');
  if (segments.includes('')) return 'has an empty segment';
  if (segments.some((segment) => segment.includes('**') && segment !== '**')) return 'has ** within a segment';
  return undefined;
}
