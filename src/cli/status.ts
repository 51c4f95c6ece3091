// The command `status`: what the status page shows, for a terminal or a script.
import type { Config } from '../config/config.ts';
import { counted, countText, durationText, fromNow, imageText, visibleText } from '../status/figures.ts';
import type { ListedRow } from '../status/row-listing.ts';
import type { AnySnapshot } from './api.ts';
import { EXIT } from './exit-code.ts';
import { needsAttention, problemsOf } from './judgement.ts';
import { withSite, type Site } from './site.ts';
import { factsOf } from './status-facts.ts';
import { columnsOf, createStyle, shortDigests, widthOf, wrapped, type Style } from './terminal.ts';

/** What the command line gives. */
export interface StatusOptions {
  readonly json?: true;
  readonly full?: true;
  readonly watch?: true;
}

// Rows that are shown of what needs a person.
const SHOWN = 10;

/** Rows that are shown below the table, the first of each state. */
export interface ShownRows {
  readonly failed: readonly ListedRow[];
  readonly unsupported: readonly ListedRow[];
}

/** How it is shown: `now` in ms; `full` does not shorten digests. */
export interface StatusLook {
  readonly now: number;
  readonly style: Style;
  readonly columns: number;
  readonly full?: boolean | undefined;
}

/** The snapshot, and the first `limit` rows of what needs a person. */
export async function lookAtStatus(
  { administration }: Pick<Site, 'administration'>,
  limit = SHOWN,
): Promise<{ readonly snapshot: AnySnapshot; readonly rows: ShownRows }> {
  const snapshot: AnySnapshot = await administration.snapshot();
  const { rows: failed } = await administration.list({ states: ['failed'], limit });
  const { rows: unsupported } = await administration.list({ states: ['unsupported'], limit });
  return { snapshot, rows: { failed, unsupported } };
}

/** Prints the snapshot as a table, or as the JSON of `GET /api/status`; answers the exit code. */
export function printStatus(config: Config, { json, full }: StatusOptions): Promise<number> {
  return withSite(config, async (site) => {
    const { stdout } = process;
    if (json) {
      const asked = await site.administration.snapshot();
      stdout.write(`${JSON.stringify(asked, null, 2)}\n`);
      return needsAttention(asked) ? EXIT.attention : EXIT.ok;
    }
    const { snapshot, rows } = await lookAtStatus(site);
    const look = { now: Date.now(), style: createStyle(stdout), columns: columnsOf(stdout), full };
    stdout.write(`${statusLines(snapshot, rows, look).join('\n')}\n`);
    return needsAttention(snapshot) ? EXIT.attention : EXIT.ok;
  });
}

function statusText(snapshot: AnySnapshot, style: Style): string {
  const { status } = snapshot;
  if (!needsAttention(snapshot)) return style.good(style.strong(status));
  const worst = problemsOf(snapshot).some(({ severity }) => severity === 'error') ? style.bad : style.warn;
  // Something is wrong: the word of an older server may not say so.
  return worst(style.strong(visibleText(status === 'ok' ? 'degraded' : status)));
}

function problemLines(snapshot: AnySnapshot, indent: number, { style, columns }: StatusLook): string[] {
  return problemsOf(snapshot).flatMap(({ severity, text, advice }) => {
    const [mark, paint] = severity === 'error' ? ['✗', style.bad] : ['!', style.warn];
    const space = ' '.repeat(indent);
    const width = columns - indent - 2;
    const [first = '', ...rest] = wrapped(visibleText(text), width);
    const said = [`${space}${paint(`${mark} ${first}`)}`, ...rest.map((line) => `${space}  ${paint(line)}`)];
    const advised =
      advice === '' ? [] : wrapped(visibleText(advice), width).map((line) => `${space}  ${style.dim(line)}`);
    return [...said, ...advised];
  });
}

function rowLines(row: ListedRow, isTried: boolean, { now, style, columns, full }: StatusLook): string[] {
  const { repository, reference, attempts, nextAttemptAt, error } = row;
  const clean = (text: string): string => (full ? visibleText(text) : shortDigests(visibleText(text)));
  const next = nextAttemptAt === null ? '' : `, next ${fromNow(nextAttemptAt, now)}`;
  const tries = isTried ? ` (${counted(attempts, 'attempt')}${next})` : '';
  const image = clean(imageText(repository, reference));
  const reason = clean(error ?? 'no reason is known');
  const line = `  ${style.strong(image)}${tries}: ${reason}`;
  if (widthOf(line) <= columns) return [line];
  return [`  ${style.strong(image)}${tries}:`, ...wrapped(reason, columns - 6).map((part) => `      ${part}`)];
}

function rowsLines(
  heading: string,
  { rows, all, isTried }: { readonly rows: readonly ListedRow[]; readonly all: number; readonly isTried: boolean },
  look: StatusLook,
): string[] {
  if (rows.length === 0) return [];
  const others = all - rows.length;
  return [
    '',
    ...wrapped(heading, look.columns).map(look.style.strong),
    ...rows.flatMap((row) => rowLines(row, isTried, look)),
    ...(others > 0 ? [`  and ${countText(others)} more`] : []),
  ];
}

/** The table, names in one column; below it what failed, and what is unsupported. No line is wider than a word forces it to be. */
export function statusLines(snapshot: AnySnapshot, shown: ShownRows, look: StatusLook): string[] {
  const { version, site, uptimeMs, replication } = snapshot;
  const { style, columns } = look;
  const up = uptimeMs === null ? '' : `, up ${durationText(uptimeMs)}`;
  const head: [string, string][] = [
    ['site', `${style.strong(site)} (geo-registry-proxy ${version}${up})`],
    ['status', statusText(snapshot, style)],
  ];
  const facts = factsOf(snapshot, look);
  const width = Math.max(...[...head, ...facts].map(([name]) => name.length));
  const lines = ([name, value]: readonly [string, string]): string[] =>
    wrapped(value, columns - width - 2).map(
      (part, nth) => `${style.dim((nth === 0 ? name : '').padEnd(width))}  ${part}`,
    );
  const { failed, unsupported } = replication.tags;
  return [
    ...head.flatMap(lines),
    ...problemLines(snapshot, width + 2, look),
    ...facts.flatMap(lines),
    ...rowsLines(
      'failed (tried again by themselves; at once with the command retry)',
      { rows: shown.failed, all: failed, isTried: true },
      look,
    ),
    ...rowsLines(
      'unsupported (the secondary registry does not take them; clients get them from the primary)',
      { rows: shown.unsupported, all: unsupported, isTried: false },
      look,
    ),
  ];
}
