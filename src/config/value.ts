// Parsers of plain values: choices, numbers, sizes, durations, words, secrets.
import { type Parser, WrongValue } from './variable.ts';

/** One of the given words. */
export const choice = <const T extends string>(...words: readonly T[]): Parser<T> => ({
  allowed: listed(words),
  parse(text) {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw new WrongValue('is not known');
    return word;
  },
});

/** `on` or `off` as a boolean. */
export const onOff: Parser<boolean> = {
  allowed: 'on or off',
  parse: (text, effects) => choice('on', 'off').parse(text, effects) === 'on',
};

/** A whole number between two bounds, both included. */
export const integer = (least: number, most: number): Parser<number> => ({
  allowed: `a whole number from ${least} to ${most}`,
  parse(text) {
    if (!/^\d+$/.test(text)) throw new WrongValue('is not a whole number');
    const value = Number(text);
    if (value < least || value > most) throw new WrongValue('is out of range');
    return value;
  },
});

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** A size in bytes: `64MiB`, `1GB` or plain bytes. */
export const size: Parser<number> = {
  allowed: 'bytes, or a whole number with kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 64MiB',
  parse(text) {
    const value = scaled(text, SIZE_UNITS);
    if (value === undefined) throw new WrongValue('is not a size');
    if (!Number.isSafeInteger(value)) throw new WrongValue('is too large');
    return value;
  },
};

const LEAST_BANDWIDTH = 1024;

/** Bytes a second, in a size's units: 1 KiB at the least, below which nothing would ever arrive. */
export const bandwidth: Parser<number> = {
  allowed: `${size.allowed}, at least 1KiB; nothing at all for no limit`,
  parse(text, effects) {
    const value = size.parse(text, effects);
    if (value < LEAST_BANDWIDTH) throw new WrongValue('is too little');
    return value;
  },
};

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3 };

// Node's timers hold a signed 32-bit number of milliseconds; beyond it they fire at once.
const LONGEST_HOURS = 596;

/** A duration in milliseconds: `500ms`, `30s`, `5m`, `1h`; `0` needs no unit, and may be forbidden. */
export const duration = ({ zero }: { readonly zero: boolean }): Parser<number> => ({
  allowed: `a whole number with ms, s, m or h, such as 500ms, 30s, 5m or 1h, ${zero ? 'or 0, ' : 'over 0 and '}at most ${LONGEST_HOURS}h`,
  parse(text) {
    const value = /^0+$/.test(text) ? 0 : scaled(text, DURATION_UNITS);
    if (value === undefined) throw new WrongValue('is not a duration');
    if (value === 0 && !zero) throw new WrongValue('is no time at all');
    if (value > LONGEST_HOURS * 3600e3) throw new WrongValue('is too long');
    return value;
  },
});

/** A word that stands unescaped in a header (`Via`), a log line and a metric's label: a site's name. */
export const label: Parser<string> = {
  allowed: '1 to 64 letters, digits, dots, dashes and underscores',
  parse(text) {
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(text)) throw new WrongValue('cannot stand in a header');
    return text;
  },
};

/** A text that stands in a quoted string of a challenge (RFC 9110, 5.6.4) without escapes. */
export const quotable: Parser<string> = {
  allowed: 'visible ASCII characters without quotes and backslashes',
  parse(text) {
    if (!/^[\x20-\x7e]+$/.test(text) || /["\\]/.test(text)) throw new WrongValue('cannot stand in a challenge');
    return text;
  },
};

/** A secret that clients send as a Bearer token (RFC 6750, 2.1). */
export const bearerSecret: Parser<string> = {
  allowed: '8 or more letters, digits and -._~+/=',
  parse(text) {
    if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(text)) throw new WrongValue('cannot be sent as a Bearer token');
    if (text.length < 8) throw new WrongValue('is too short');
    return text;
  },
};

/** The trimmed, non-empty parts between commas. */
export function commaSeparated(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+) ?([A-Za-z]*)$/.exec(text);
  const unit = units[match?.[2]?.toLowerCase() ?? ''];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
