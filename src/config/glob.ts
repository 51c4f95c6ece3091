// Repository globs of selective sync: patterns that match on the borders of path segments.
import { commaSeparated } from './value.ts';
import { type Parser, WrongValue } from './variable.ts';

/** Repository globs separated by commas, in the form that {@link matchesRepository} takes. */
export const repositoryGlobs: Parser<string[]> = {
  allowed:
    'repository globs in lower case separated by commas, such as group, group/*, group/**/cache or group/project',
  parse(text) {
    const globs = commaSeparated(text);
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

function matches([first, ...rest]: readonly string[], segments: readonly string[]): boolean {
  if (first === undefined) return segments.length === 0;
  if (first === '**') {
    for (let taken = rest.length === 0 ? 1 : 0; taken <= segments.length; taken++) {
      if (matches(rest, segments.slice(taken))) return true;
    }
    return false;
  }
  const [segment, ...below] = segments;
  return segment !== undefined && matchesSegment(first, segment) && matches(rest, below);
}

function matchesSegment(pattern: string, segment: string): boolean {
  const expression = pattern.replaceAll(/[^\w*-]/g, String.raw`\$&`).replaceAll('*', '.*');
  return new RegExp(`^${expression}$`, 's').test(segment);
}

function globProblem(glob: string): string | undefined {
  if (/[A-Z]/.test(glob)) return 'has upper case, which no repository has';
  if (!/^[a-z0-9._*/-]+$/.test(glob)) return 'has characters that no repository has';
  const segments = glob.replace(/\/$/, '').split('/');
  if (segments.includes('')) return 'has an empty segment';
  if (segments.some((segment) => segment.includes('**') && segment !== '**')) return 'has ** within a segment';
  return undefined;
}
