// Checks that the open database's files are still those at their path: what is committed to files that were removed is
// lost at a restart.
import { statSync } from 'node:fs';
import { StoreUnavailable } from '../../rows.ts';

function idOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

/**
 * Remembers the files of a database in WAL mode that is open; gives the function that checks whether they are still
 * there. It throws StoreUnavailable where they are not.
 */
export function notePresence(file: string): () => void {
  const files = [file, `${file}-wal`].map((path) => ({ path, id: idOf(path) }));
  return () => {
    for (const { path, id } of files) {
      if (idOf(path) === id) continue;
      throw new StoreUnavailable(`${path} was removed or replaced while it was in use: restart the proxy`);
    }
  };
}
