// nginx/registry.conf, which comes with the program. The bundle has its text here (scripts/build-bundle.mjs).
import { existsSync, readFileSync } from 'node:fs';

/** The text of nginx/registry.conf: beside `src` and `dist`. @throws Error where it is not there */
export function siteTemplate(): string {
  const places = ['../../nginx/registry.conf', '../nginx/registry.conf', './nginx/registry.conf'];
  const file = places.map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url));
  if (!file) throw new Error('nginx/registry.conf is not beside the program: install the program again');
  return readFileSync(file, 'utf8');
}
