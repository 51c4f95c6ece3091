// Numbers, sizes, times and names as people read them: those of a terminal, and what the page alone needs.
import { countText, TIME_UNITS } from '../../src/status/figures.ts';

export { bytesParts, bytesText, counted, countText, durationText } from '../../src/status/figures.ts';

/** A rate per second in few digits: `0.4`, `12`, `1,204`. */
export function rateText(rate: number): string {
  return rate >= 10 || Number.isInteger(rate) ? countText(Math.round(rate)) : rate.toFixed(1);
}

/** A share from 0 to 1: `87 %`; `–` where none is known, and 100 % only where it is all. */
export function shareText(share: number | null): string {
  if (share === null) return '–';
  return `${share > 0.99 && share < 1 ? '99' : Math.round(share * 100)} %`;
}

/** How long ago or ahead an ISO time is, by its largest unit: `3 min ago`, `in 4 min`, `now`. */
export function fromNow(time: string, now: number): string {
  const ahead = Date.parse(time) - now;
  const away = Math.abs(ahead);
  const step = TIME_UNITS.find(({ ms }) => away >= ms);
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

/** A text with the digests in it short. */
export function withShortDigests(text: string): string {
  return text.replace(/\b[a-z0-9+._-]+:[0-9a-f]{32,}/g, (digest) => `${shortDigest(digest)}…`);
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
