// Byte ranges (RFC 9110 section 14): a client's Range, and a registry's Content-Range.

/** A client's range before the size is known: from `start` to `end` inclusive, or the last `suffix` bytes. */
export type ByteRange = { readonly start: number; readonly end?: number } | { readonly suffix: number };

/** A range of a blob whose size is known: `start` to `end`, both inclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const RANGE = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/;
const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(?:(\d{1,15})|\*)$/;

/**
 * Parses a Range header. Several ranges and malformed ones give undefined: a server may ignore the header, and the
 * whole blob is a right answer to it (RFC 9110 section 14.2).
 */
export function parseRange(header: string | undefined): ByteRange | undefined {
  const match = header === undefined ? null : RANGE.exec(header.trim());
  if (!match) return undefined;
  const [, first, last, suffix] = match;
  if (suffix !== undefined) return { suffix: Number(suffix) };
  const start = Number(first);
  if (last === undefined) return { start };
  return { start, end: Number(last) };
}

/** The span that a range means in a blob of `size` bytes, or undefined where none of it is there (416). */
export function resolveRange(range: ByteRange, size: number): Span | undefined {
  if ('suffix' in range) {
    if (range.suffix === 0 || size === 0) return undefined;
    return { start: Math.max(0, size - range.suffix), end: size - 1 };
  }
  // Ends before it begins: a server may refuse that, and Distribution does.
  if (range.start >= size || (range.end ?? range.start) < range.start) return undefined;
  return { start: range.start, end: Math.min(range.end ?? size - 1, size - 1) };
}

/** A range as a header's value. */
export function rangeHeader(range: ByteRange): string {
  return 'suffix' in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ''}`;
}

/**
 * Parses `Content-Range` of a 206; the size is undefined where the registry does not say it. Undefined for a value that
 * contradicts itself (RFC 9110 section 14.4).
 */
export function parseContentRange(header: string | undefined): (Span & { readonly size?: number }) | undefined {
  const match = header === undefined ? null : CONTENT_RANGE.exec(header.trim());
  if (!match) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  const size = match[3] === undefined ? undefined : Number(match[3]);
  if (end < start || (size !== undefined && end >= size)) return undefined;
  return size === undefined ? { start, end } : { start, end, size };
}
