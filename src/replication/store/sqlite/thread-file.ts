// The program of the store's threads. The bundle has it in the place of this file, as a `data:` URL (scripts/build-bundle.mjs).
import { extname } from 'node:path';

/** Beside this file, as source or as built: the compiler does not rewrite URLs. */
export const threadFile = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
