// The page's files as `npm run build` leaves them. The bundle has them in the place of this file (scripts/build-bundle.mjs).
import { existsSync, readFileSync, readdirSync } from 'node:fs';

/** By name; those that end with `.br` and `.gz` are the same, compressed. */
export type PageFiles = ReadonlyMap<string, Buffer>;

// From src/status and from dist/status.
const FOLDERS = ['../../dist/web/', '../web/'].map((path) => new URL(path, import.meta.url));

/** Reads them; undefined where the page is not built. */
export function readPage(): PageFiles | undefined {
  const folder = FOLDERS.find((one) => existsSync(new URL('index.html', one)));
  return folder && new Map(readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder))]));
}
