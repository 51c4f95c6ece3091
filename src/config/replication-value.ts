// Parsers of what replication is told: the webhook's secrets, a share, a file of repository names.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemReason } from './system-reason.ts';
import { commaSeparated } from './value.ts';
import { type Parser, WrongValue } from './variable.ts';

/** One or two secrets that the primary's notifications may carry as `Authorization`. */
export const eventTokens: Parser<readonly string[]> = {
  allowed: 'one secret, or two separated by a comma while it is changed, each of 8 or more visible ASCII characters',
  parse(text) {
    const tokens = commaSeparated(text);
    if (tokens.length === 0 || tokens.length > 2) throw new WrongValue(`holds ${tokens.length} secrets`);
    if (tokens.some((token) => !/^[\x20-\x7e]{8,}$/.test(token))) throw new WrongValue('cannot stand in a header');
    return tokens;
  },
};

/** A percentage as a share of one: `20%` is 0.2. */
export const percentage: Parser<number> = {
  allowed: 'a whole percentage from 0% to 100%',
  parse(text) {
    const match = /^(\d{1,3})%$/.exec(text);
    if (match === null) throw new WrongValue('is not a percentage');
    const value = Number(match[1]) / 100;
    if (value > 1) throw new WrongValue('is out of range');
    return value;
  },
};

/** The absolute path of a file that can be read. */
export const readableFile: Parser<string> = {
  allowed: 'a file that can be read',
  parse(text, effects) {
    const path = resolve(effects.cwd(), text);
    try {
      readFileSync(path);
    } catch (error) {
      throw new WrongValue(`cannot be read (${systemReason(error)})`, undefined, { cause: error });
    }
    return path;
  },
};
