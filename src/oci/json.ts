// Reading JSON that others wrote. Time and memory of `JSON.parse` go by the number of values and how deep they are nested:
// 8 MiB of brackets stop the event loop for a second. So the bytes are looked over first, which costs a millisecond a MiB.

/** The text is JSON, perhaps, but of more values, or nested deeper, than is read. */
export class TooComplex extends Error {}

/** Bounds of one text. */
export interface JsonBounds {
  readonly depth: number;
  readonly values: number;
}

// An index of 10,000 children has 60,000 values (copying takes no wider one), an event with its references about as many.
const BOUNDS: JsonBounds = { depth: 64, values: 100_000 };

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const [OPEN_LIST, CLOSE_LIST] = [0x5b, 0x5d];
const [OPEN_OBJECT, CLOSE_OBJECT] = [0x7b, 0x7d];

/** The position behind a string's closing quote; `start` is behind its opening one. */
function endOfString(bytes: Uint8Array, start: number): number {
  let index = start;
  while (index < bytes.length && bytes[index] !== QUOTE) index += bytes[index] === BACKSLASH ? 2 : 1;
  return index;
}

/** Looks over bytes without parsing them. @throws {TooComplex} */
export function checkJson(bytes: Uint8Array, bounds: JsonBounds = BOUNDS): void {
  let [depth, values] = [0, 0];
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (byte === QUOTE) index = endOfString(bytes, index + 1);
    else if (byte === COMMA) values += 1;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      depth += 1;
      values += 1;
      if (depth > bounds.depth) throw new TooComplex(`JSON that is nested deeper than ${bounds.depth}`);
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
  }
  if (values > bounds.values) throw new TooComplex(`JSON of more than ${bounds.values} values`);
}

/** Parses UTF-8. @throws {TooComplex} before anything is parsed. @throws {SyntaxError} where it is no JSON. */
export function parseJson(bytes: Uint8Array, bounds: JsonBounds = BOUNDS): unknown {
  checkJson(bytes, bounds);
  return JSON.parse(new TextDecoder().decode(bytes));
}
