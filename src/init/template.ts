// Files that come with the program and that init edits for a site. The bundle has their texts here (scripts/build-bundle.mjs).
import { existsSync, readFileSync } from 'node:fs';

/** A file's text: beside `src` and `dist`. @throws Error where it is not there */
function shipped(path: string): string {
  const places = [`../../${path}`, `../${path}`, `./${path}`];
  const file = places.map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url));
  if (!file) throw new Error(`${path} is not beside the program: install the program again`);
  return readFileSync(file, 'utf8');
}

/** The text of nginx/registry.conf. @throws Error where it is not there */
export const siteTemplate = (): string => shipped('nginx/registry.conf');

/** The text of deploy/omnibus/gitlab.rb. @throws Error where it is not there */
export const omnibusTemplate = (): string => shipped('deploy/omnibus/gitlab.rb');
