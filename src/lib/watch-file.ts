// Watches a file by polling: other ways miss files that are replaced by renaming or by links (Kubernetes).
import { statSync } from 'node:fs';

/** Calls `changed` when a file's time or size has changed, checked every `every` ms; returns the function that stops. */
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
