// Warnings about GEO_ variables that nothing reads, most of which are typing errors.
import type { Variable } from './variable.ts';
import { laterNames, variables } from './variables.ts';

/** One line for each `GEO_` variable of an environment that this version does not read; values are not shown. */
export function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = knownNames();
  const unknown = Object.keys(env).filter((name) => name.startsWith('GEO_') && !known.includes(name));
  return unknown
    .sort()
    .map(
      (name) =>
        `${name}: ${laterNames.includes(name) ? 'not supported by this version' : `unknown${guess(name, known)}`}, ignored`,
    );
}

function knownNames(): string[] {
  const declared: Variable[] = Object.values(variables);
  return declared.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
}

function guess(name: string, known: readonly string[]): string {
  const distances = known.map((candidate) => ({ candidate, distance: editDistance(name, candidate) }));
  const nearest = distances.reduce((best, next) => (next.distance < best.distance ? next : best));
  // Over half of what follows GEO_ typed wrong is another word, not a typing error.
  const likely = nearest.distance * 2 <= nearest.candidate.length - 'GEO_'.length;
  return likely ? ` (did you mean ${nearest.candidate}?)` : '';
}

/** Levenshtein's distance of two texts. */
export function editDistance(from: string, to: string): number {
  // A row of the matrix at a time.
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (letter === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
