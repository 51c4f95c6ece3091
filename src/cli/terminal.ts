// What a terminal shows: colour where it is wanted, texts cut and padded to columns, tables.
import { stripVTControlCharacters, styleText } from 'node:util';

/** Styles texts, or leaves them as they are. */
export interface Style {
  readonly good: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly dim: (text: string) => string;
}

/** Where something is written, as far as it decides on colour and width. */
export type Output = Pick<NodeJS.WriteStream, 'isTTY'> & { readonly columns?: number };

const COLUMNS_MAX = 100;

let isRefused = false;

/** No colour from here on, whatever the environment says: `--no-color`. */
export function refuseColour(): void {
  isRefused = true;
}

/** Whether a stream gets colour: `--no-color`, NO_COLOR (no-color.org), FORCE_COLOR, else whether it is a terminal. */
export function hasColour({ isTTY }: Output, env: NodeJS.ProcessEnv = process.env): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = env;
  if (isRefused || NO_COLOR) return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return isTTY && TERM !== 'dumb';
}

/** The styles of a stream. */
export function createStyle(output: Output): Style {
  const isOn = hasColour(output);
  const as = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    isOn ? styleText(format, text, { validateStream: false }) : text;
  return { good: as('green'), warn: as('yellow'), bad: as('red'), strong: as('bold'), dim: as('dim') };
}

/** The columns that a text may take: those of the terminal, 100 at the most. */
export function columnsOf({ isTTY, columns }: Output): number {
  return isTTY && columns !== undefined && columns > 0 ? Math.min(columns, COLUMNS_MAX) : COLUMNS_MAX;
}

/** The columns of a text, without its colours. */
export function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}

function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

/** A plain text in at most `width` columns: its middle gives way to `…`, so that a name's end is still read. */
export function shortened(text: string, width: number): string {
  if (text.length <= width) return text;
  const kept = Math.max(0, width - 1);
  const head = Math.floor(kept / 2);
  return `${text.slice(0, head)}…${kept - head > 0 ? text.slice(head - kept) : ''}`;
}

/** Rows as lines, each column as wide as its widest text, two spaces apart; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => widthOf(row[column] ?? ''))),
  );
  return rows.map((row) =>
    row
      .map((text, column) => (column === row.length - 1 ? text : padded(text, widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** A text in lines of at most `width` columns, broken at spaces; a longer word stays whole. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Digests in a text by their first 12 digits: `sha256:0123456789ab`. */
export function shortDigests(text: string): string {
  return text.replace(/\b(sha(?:256|512):[0-9a-f]{12})[0-9a-f]{20,}/g, '$1');
}
