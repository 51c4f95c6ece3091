// The command `pulls`: the last requests of clients, the newest last, and with --follow those that come.
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { bytesText, durationText, imageText, visibleText } from '../status/figures.ts';
import type { Pull } from './api.ts';
import { NoServer } from './admin-client.ts';
import { EXIT } from './exit-code.ts';
import { warn, errorLines } from './output.ts';
import { getIfKnown, openServer, type Live } from './site.ts';
import { columnsOf, createStyle, shortDigests, shortened, widthOf, wrapped, type Style } from './terminal.ts';

/** What the command line gives. */
export interface PullsOptions {
  readonly limit: number;
  readonly failed?: true;
  readonly follow?: true;
  readonly json?: true;
  readonly full?: true;
}

/** How many pulls a server keeps, and so how many can be asked for. */
export const PULLS_MAX = 200;

const LOOK_EVERY = 500;

/** The last pulls, the oldest first. @throws Error with what to do where the server is too old */
export async function lastPulls(live: Live, limit: number): Promise<readonly Pull[]> {
  const answer = await getIfKnown<{ readonly pulls: readonly Pull[] }>(live, `/api/pulls?limit=${limit}`);
  if (answer) return answer.pulls.toReversed();
  throw new Error(
    `the server at ${live.address} runs version ${live.version}, which keeps no list of pulls: upgrade it`,
  );
}

/** How pulls are shown; `full` leaves nothing out, however wide that is. */
export interface PullLook {
  readonly style: Style;
  readonly columns: number;
  readonly full?: boolean | undefined;
}

function imageOf({ repository, reference, digest, kind }: Pull): { readonly name: string; readonly at: string } {
  const at = reference ?? digest;
  if (repository === null) return { name: kind, at: '' };
  const image = visibleText(at === null ? `${repository} (${kind})` : imageText(repository, at));
  return { name: image.slice(0, repository.length), at: image.slice(repository.length) };
}

/** The image in `width` columns: of a digest 12 digits, of a long repository its ends. */
function imageCell(pull: Pull, width: number): string {
  const { name, at } = imageOf(pull);
  const end = shortened(shortDigests(at).replace(/^@sha256:/, '@'), width - Math.min(name.length, 8));
  return (shortened(name, width - end.length) + end).padEnd(width);
}

function paintOf(status: number, style: Style): (text: string) => string {
  return status >= 500 ? style.bad : status >= 400 ? style.warn : style.good;
}

// The columns after the image: origin, size, time, who by which client.
const ORIGIN = 'primary'.length;
const SIZE = '1023 MiB'.length;
const TIME = '59 s 999'.length;
const WHO = 22;
const IMAGE_LEAST = 24;

function whoOf({ user, client, address }: Pull, full: boolean | undefined): string {
  const known = [user, client, full || client === null ? address : null];
  return known
    .filter((one) => one !== null)
    .map(visibleText)
    .join(' ');
}

/** One pull in a line: when, status, method, image, origin, size, time, who; below it the cause of a failure. */
export function pullLines(pull: Pull, { style, columns, full }: PullLook): string[] {
  const { at, status, method, origin, bytes, ms, cause } = pull;
  const time = new Date(at).toLocaleTimeString('en-GB');
  const head = `${style.dim(time)} ${paintOf(status, style)(String(status))} ${visibleText(method).padEnd(4)} `;
  const cells = [
    visibleText(origin ?? '-').padEnd(ORIGIN),
    (bytes === 0 ? '-' : bytesText(bytes)).padStart(SIZE),
    durationText(ms).padStart(TIME),
  ];
  const tail = ` ${cells.join(' ')} `;
  const why = visibleText(cause ?? '');
  const indent = ' '.repeat(time.length + 1);
  const who = whoOf(pull, full);
  if (full) {
    const { name, at: reference } = imageOf(pull);
    return [`${head}${name}${reference}${style.dim(tail + who)}`, ...(why === '' ? [] : [indent + style.warn(why)])];
  }
  const left = columns - widthOf(head) - tail.length;
  const whoWidth = Math.max(0, Math.min(WHO, left - IMAGE_LEAST));
  const line = head + imageCell(pull, left - whoWidth) + style.dim(tail + shortened(who, whoWidth));
  return [
    line,
    ...(why === '' ? [] : wrapped(shortDigests(why), columns - indent.length).map((one) => indent + style.warn(one))),
  ];
}

function isShown({ status }: Pull, { failed }: Pick<PullsOptions, 'failed'>): boolean {
  return !failed || status >= 400;
}

function print(pulls: readonly Pull[], options: PullsOptions): void {
  const { stdout } = process;
  const look = { style: createStyle(stdout), columns: columnsOf(stdout), full: options.full };
  const lines = pulls
    .filter((pull) => isShown(pull, options))
    .flatMap((pull) => (options.json ? [JSON.stringify(pull)] : pullLines(pull, look)))
    .map((line) => `${line.trimEnd()}\n`);
  if (lines.length > 0) stdout.write(lines.join(''));
}

/** Prints what comes after `last`, until a signal; a server that is started again begins to count anew. */
async function follow(live: Live, from: number, options: PullsOptions): Promise<never> {
  let last = from;
  let isAway = false;
  for (;;) {
    await delay(LOOK_EVERY);
    try {
      const pulls = await lastPulls(live, PULLS_MAX);
      const newest = pulls.at(-1)?.id ?? 0;
      if (newest < last) last = 0;
      const fresh = pulls.filter(({ id }) => id > last);
      const lost = fresh[0] && last > 0 ? fresh[0].id - last - 1 : 0;
      if (lost > 0) warn(`${lost} pulls came too fast to be shown`);
      print(fresh, options);
      last = newest;
      isAway = false;
    } catch (error) {
      if (!isAway) warn(`${errorLines(error).join('; ')}; waiting for it`);
      isAway = true;
    }
  }
}

/** Prints the last pulls, and with `follow` those that come, until a signal; answers the exit code. @throws Error in a line */
export async function printPulls(config: Config, options: PullsOptions): Promise<number> {
  const site = await openServer(config).catch((error: unknown) => {
    if (error instanceof NoServer) throw new Error(`${error.message}: only a running server knows its pulls`);
    throw error;
  });
  // A pipe that is closed at its other end, as `head` does, is no failure.
  process.stdout.on('error', () => process.exit(EXIT.ok));
  try {
    const pulls = await lastPulls(site.live!, options.failed ? PULLS_MAX : options.limit);
    print(pulls.filter((pull) => isShown(pull, options)).slice(-options.limit), options);
    if (options.follow) await follow(site.live!, pulls.at(-1)?.id ?? 0, options);
    return EXIT.ok;
  } finally {
    await site.close();
  }
}
