// Watching a file by looking at it: what replaces files by renaming or by links (Kubernetes) escapes other ways.
import { statSync } from 'node:fs';

/** Calls `changed` when a file's time or size is another than before, looking every `every` ms; answers how to stop. */
export function watchFile(path: string | undefined, every: number, changed: () => void): () => void {
  if (path === undefined) return () => undefined;
  const look = (): string => {
    const { mtimeMs, size } = statSync(path, { throwIfNoEntry: false }) ?? {};
    return `${mtimeMs}/${size}`;
  };
  let last = look();
  const timer = setInterval(() => {
    const now = look();
    if (now !== last) changed();
    last = now;
  }, every);
  timer.unref();
  return () => clearInterval(timer);
}
