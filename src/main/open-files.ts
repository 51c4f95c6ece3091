// Whether this process may have as many files open as its configuration needs.
import { readFileSync } from 'node:fs';
import { openFilesLimit, tooFewOpenFiles, type OpenFilesOptions } from '../config/open-files.ts';

function limits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    // Not Linux.
    return '';
  }
}

/** @throws Error with both numbers where the limit is too low; a system that does not tell it is believed. */
export function requireOpenFiles(options: OpenFilesOptions): void {
  const trouble = tooFewOpenFiles(openFilesLimit(limits()) ?? Infinity, options);
  if (trouble !== undefined) throw new Error(trouble);
}
