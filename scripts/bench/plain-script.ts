// Scripts that are preloaded into the proxy, as plain JavaScript.
import { readFile, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { basename, join } from 'node:path';

/** Writes it into a folder: what Node needs to read types would be counted as the program's memory. */
export async function plainScript(script: URL, dir: string): Promise<string> {
  const file = join(dir, `${basename(script.pathname, '.ts')}.mjs`);
  await writeFile(file, stripTypeScriptTypes(await readFile(script, 'utf8')));
  return file;
}
