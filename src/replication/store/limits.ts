// What every store keeps of texts that come from outside.

const ERROR_MAX = 255;
const BODY_MAX = 64 * 1024;

/** How many malformed events are kept. */
export const MALFORMED_MAX = 1_000;

/** How many repositories are kept of a blob. */
export const PLACES_MAX = 4;

/** How long a removal counts towards the limit, in milliseconds. */
export const REMOVAL_WINDOW = 24 * 3_600_000;

/** An error's text for people, at most 255 characters. */
export function clipError(text: string): string {
  return text.slice(0, ERROR_MAX).toWellFormed();
}

/** At most 64 KiB of a body as UTF-8, no character cut in two. */
export function clipBody(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= BODY_MAX) return text.toWellFormed();
  let end = BODY_MAX;
  // 10xxxxxx continues a character.
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
