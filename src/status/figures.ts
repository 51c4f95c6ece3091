// Numbers, sizes, times and names as people read them. The page is built with this file (web/lib/format.ts): it imports
// nothing.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A count with its thousands apart: `12,034`. */
export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

/** A count and its noun: `1 tag`, `12,034 tags`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** A size in bytes as number and unit: `['1.4', 'GiB']`. */
export function bytesParts(bytes: number): [string, string] {
  const exponent = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** exponent;
  return [exponent === 0 || value >= 100 ? String(Math.round(value)) : value.toFixed(1), UNITS[exponent]!];
}

/** A size in bytes: `1.4 GiB`. */
export function bytesText(bytes: number): string {
  return bytesParts(bytes).join(' ');
}

/** The units of a duration, the largest first. */
export const TIME_UNITS = [
  { unit: 'd', ms: 86_400_000 },
  { unit: 'h', ms: 3_600_000 },
  { unit: 'min', ms: 60_000 },
  { unit: 's', ms: 1_000 },
] as const;

/** A time in milliseconds by its two largest units: `3 d 4 h`, `12 s`; what is under a second in milliseconds. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const first = TIME_UNITS.findIndex((step) => ms >= step.ms);
  let rest = ms;
  const parts = TIME_UNITS.slice(first, first + 2).map(({ unit, ms: size }) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count === 0 ? '' : `${count} ${unit}`;
  });
  return parts.filter((part) => part !== '').join(' ');
}

/** How long ago or ahead an ISO time is: `3 min ago`, `in 4 min`, `now`. */
export function fromNow(time: string, now: number): string {
  const ahead = Date.parse(time) - now;
  if (Math.abs(ahead) < 1_000) return 'now';
  return ahead > 0 ? `in ${durationText(ahead)}` : `${durationText(-ahead)} ago`;
}

/** A tag or manifest of a repository, as clients write it; `*` stands for the whole of it. */
export function imageText(repository: string, reference: string): string {
  if (reference === '*') return `${repository}, all of it`;
  return `${repository}${reference.includes(':') ? '@' : ':'}${reference}`;
}

/** A text in one line, without the characters that nobody sees and that could make it read as another one. */
export function visibleText(text: string): string {
  return text.replace(/[\t\r\n]+/g, ' ').replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}
