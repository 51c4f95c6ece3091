// The cause of a failure: what its text says without what differs from row to row.

// What copies and removals put before the reason, by which they name the content.
const SUBJECT = /^(?:(?:blob|manifest|tag) \S+|what is to be removed): /;
const FILE = /\/[0-9a-f]{2}\/[0-9a-f]{64,128}\b/g;
const HEX = /\b[0-9a-f]{64,128}\b/g;

/** The cause of an error: equal for rows that fail for one reason. */
export function causeOf(error: string): string {
  return error.replace(SUBJECT, '').replace(FILE, '/…').replace(HEX, '…');
}
