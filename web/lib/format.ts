// Numbers, sizes, times and names as people read them.

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

/** A rate per second in few digits: `0.4`, `12`, `1,204`. */
export function rateText(rate: number): string {
  return rate >= 10 || Number.isInteger(rate) ? countText(Math.round(rate)) : rate.toFixed(1);
}

/** A share from 0 to 1: `87 %`; `–` where none is known, and 100 % only where it is all. */
export function shareText(share: number | null): string {
  if (share === null) return '–';
  return `${share > 0.99 && share < 1 ? '99' : Math.round(share * 100)} %`;
}

const STEPS = [
  { unit: 'd', ms: 86_400_000 },
  { unit: 'h', ms: 3_600_000 },
  { unit: 'min', ms: 60_000 },
  { unit: 's', ms: 1_000 },
] as const;

/** A time in milliseconds by its two largest units: `3 d 4 h`, `12 s`; what is under a second in milliseconds. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const first = STEPS.findIndex((step) => ms >= step.ms);
  let rest = ms;
  const parts = STEPS.slice(first, first + 2).map(({ unit, ms: size }) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count === 0 ? '' : `${count} ${unit}`;
  });
  return parts.filter((part) => part !== '').join(' ');
}

/** How long ago or ahead an ISO time is, by its largest unit: `3 min ago`, `in 4 min`, `now`. */
export function fromNow(time: string, now: number): string {
  const ahead = Date.parse(time) - now;
  const away = Math.abs(ahead);
  const step = STEPS.find(({ ms }) => away >= ms);
  if (!step) return 'now';
  const text = `${Math.floor(away / step.ms)} ${step.unit}`;
  return ahead > 0 ? `in ${text}` : `${text} ago`;
}

/** A time of today: `14:03`, with seconds where asked. */
export function clockText(time: number, hasSeconds = false): string {
  const date = new Date(time);
  const parts = [date.getHours(), date.getMinutes(), ...(hasSeconds ? [date.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

/** The algorithm aside, the first 12 digits of a digest. */
export function shortDigest(digest: string): string {
  return digest.replace(/^[a-z0-9+._-]+:/, '').slice(0, 12);
}

function isDigest(reference: string): boolean {
  return reference.includes(':');
}

/** A tag or manifest of a repository as clients write it, digests short; `*` stands for all of the repository. */
export function imageText(repository: string, reference: string): string {
  if (reference === '*') return `${repository} (all tags)`;
  return isDigest(reference) ? `${repository}@${shortDigest(reference)}` : `${repository}:${reference}`;
}

/** A text without characters that are invisible or change the direction of what follows; line ends stay. */
export function visibleText(text: string): string {
  return text.replace(/[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}
