// `status --watch`: the status and the last pulls, drawn anew on the whole terminal until a signal.
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { bytesText, visibleText } from '../status/figures.ts';
import type { Transfer } from './api.ts';
import { EXIT } from './exit-code.ts';
import { onInterrupt } from './interrupt.ts';
import { errorLines } from './output.ts';
import { lastPulls, pullLines as linesOf, PULLS_MAX } from './pulls.ts';
import { getIfKnown, withSite, type Live, type Site } from './site.ts';
import { lookAtStatus, statusLines } from './status.ts';
import { columnsOf, createStyle, shortDigests, shortened, type Style } from './terminal.ts';

const DRAW_EVERY = 1_000;
// Rows of failed and unsupported images: the page and `status` show more.
const SHOWN = 3;
const PULLS_LEAST = 5;
const TRANSFERS_MAX = 5;

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_REST = '\u001b[J';

interface Screen {
  readonly style: Style;
  readonly columns: number;
  readonly rows: number;
  readonly full?: boolean | undefined;
}

function transferLine(
  { digest, repositories, bytes, size, bytesPerSecond, readers }: Transfer,
  screen: Screen,
): string {
  const share = size === null || size === 0 ? '' : ` ${Math.floor((bytes / size) * 100)} %`;
  const tail = `${bytesText(bytes)}${size === null ? '' : ` of ${bytesText(size)}`}${share}  ${bytesText(bytesPerSecond)}/s  ${readers} reading`;
  const name = `${visibleText(repositories[0] ?? '')}  ${shortDigests(digest)}`;
  return `${shortened(name, Math.max(16, screen.columns - tail.length - 2))}  ${tail}`;
}

async function transferLines(live: Live, screen: Screen): Promise<string[]> {
  const answer = await getIfKnown<{ readonly transfers: readonly Transfer[] }>(live, '/api/transfers');
  if (!answer || answer.transfers.length === 0) return [];
  const shown = answer.transfers.slice(0, TRANSFERS_MAX).map((transfer) => transferLine(transfer, screen));
  const others = answer.transfers.length - shown.length;
  const more = others > 0 ? [screen.style.dim(`and ${others} more`)] : [];
  return ['', screen.style.strong('transfers from the primary'), ...shown, ...more];
}

async function pullLines(live: Live, room: number, screen: Screen): Promise<string[]> {
  const { style } = screen;
  const pulls = await lastPulls(live, PULLS_MAX).catch((error: unknown) => errorLines(error)[0]!);
  if (typeof pulls === 'string') return ['', style.dim(shortened(pulls, screen.columns))];
  const lines = pulls.flatMap((pull) => linesOf(pull, screen));
  const shown = lines.slice(-Math.max(PULLS_LEAST, room - 2));
  return ['', style.strong('last pulls'), ...(shown.length === 0 ? [style.dim('none since the start')] : shown)];
}

async function frame(site: Site, screen: Screen): Promise<string[]> {
  const { snapshot, rows } = await lookAtStatus(site, SHOWN);
  const status = statusLines(snapshot, rows, { ...screen, now: Date.now() });
  if (!site.live) return status;
  const transfers = await transferLines(site.live, screen);
  const above = [...status, ...transfers];
  return [...above, ...(await pullLines(site.live, screen.rows - above.length, screen))];
}

/** Where more is to be shown than there is room for, the pulls stay, and the table gives way above them. */
function fitted(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines;
  const tail = Math.min(PULLS_LEAST + 2, Math.floor(rows / 2));
  return [...lines.slice(0, rows - tail), ...lines.slice(-tail)];
}

function draw(stream: NodeJS.WriteStream, lines: readonly string[]): void {
  const text = fitted(lines, stream.rows - 1).map((line) => line + CLEAR_LINE);
  stream.write(`${HOME}${text.join('\n')}\n${CLEAR_REST}`);
}

/** Draws until a signal, which ends the process with 130. @throws Error where standard output is no terminal */
export async function watchStatus(config: Config, { full }: { readonly full?: true }): Promise<never> {
  const { stdout } = process;
  if (!stdout.isTTY || !(stdout.columns > 0))
    throw new Error('--watch draws on a terminal, and standard output is none: call status without it');
  // Before the screen is taken: what is wrong with the configuration or the server stays readable.
  await withSite(config, async () => undefined);
  const resized = (): AbortSignal => {
    const wake = new AbortController();
    stdout.once('resize', () => wake.abort());
    return wake.signal;
  };
  process.once('exit', () => stdout.write(LEAVE));
  onInterrupt(() => process.exit(EXIT.interrupted));
  stdout.write(ENTER);
  let signal = resized();
  for (;;) {
    const screen = { style: createStyle(stdout), columns: columnsOf(stdout), rows: stdout.rows, full };
    const lines = await withSite(config, (site) => frame(site, screen)).catch((error: unknown) => [
      screen.style.bad(shortened(errorLines(error).join('; '), screen.columns)),
      screen.style.dim('trying again'),
    ]);
    draw(stdout, lines);
    await delay(DRAW_EVERY, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) signal = resized();
  }
}
