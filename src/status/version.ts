// The program's version, as its package says it.
import { readFileSync } from 'node:fs';

/** The version in package.json, which lies above the sources as well as above a build. */
export function programVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}
