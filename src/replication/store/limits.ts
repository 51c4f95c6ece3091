// Limits that every store keeps: of texts that come from outside, and of lists.

const ERROR_MAX = 1_000;
const BODY_MAX = 64 * 1024;

/** How many malformed events are kept. */
export const MALFORMED_MAX = 1_000;

/** How many repositories are kept of a blob. */
export const LOCATIONS_MAX = 16;

/** How long a removal counts towards the limit, in milliseconds. */
export const REMOVAL_WINDOW = 24 * 3_600_000;

/** Replaces NUL, which ends a text for some drivers and is refused by others, and unpaired halves of characters. */
function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}

/** An error's text for people, at most 1,000 characters. */
export function clipError(text: string): string {
  return storable(text.slice(0, ERROR_MAX));
}

/** At most 64 KiB of a body as UTF-8, no character cut in two. */
export function clipBody(text: string): string {
  const whole = storable(text);
  const bytes = Buffer.from(whole);
  if (bytes.length <= BODY_MAX) return whole;
  let end = BODY_MAX;
  // 10xxxxxx continues a character.
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
