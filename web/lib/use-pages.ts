// A long list, a page at a time: the server says where the next page begins, and the way back is remembered.
import { useState } from 'preact/hooks';

type Cursor = string | number;

export interface Pages {
  /** The `after` of the page that is shown; undefined for the first one. */
  readonly after: Cursor | undefined;
  /** The number of the first row that is shown, from 1. */
  readonly first: number;
  readonly onPrevious: (() => void) | undefined;
  next(cursor: Cursor, shown: number): void;
}

interface Step {
  readonly after: Cursor | undefined;
  readonly first: number;
}

/** The pages of the list that `question` names; another question begins at its first page. */
export function usePages(question: string): Pages {
  const [path, setPath] = useState<{ readonly question: string; readonly steps: readonly Step[] }>();
  const steps = path?.question === question ? path.steps : [];
  const { after, first } = steps.at(-1) ?? { after: undefined, first: 1 };
  return {
    after,
    first,
    onPrevious: steps.length === 0 ? undefined : () => setPath({ question, steps: steps.slice(0, -1) }),
    next: (cursor, shown) => setPath({ question, steps: [...steps, { after: cursor, first: first + shown }] }),
  };
}
