// The command `confirm-removals`: a person has looked at what is held, and says that it may go.
import { createInterface } from 'node:readline/promises';
import type { Config } from '../config/config.ts';
import type { Suspension } from '../replication/suspension.ts';
import type { Administration, ConfirmAnswer } from '../status/administration.ts';
import { counted, countText, imageText, visibleText } from '../status/figures.ts';
import type { RepositoryFilter } from '../status/row-listing.ts';
import { whyRemovalsWait } from '../status/suspension-text.ts';
import { EXIT } from './exit-code.ts';
import { requireKnown } from './known-repository.ts';
import { withSite } from './site.ts';

/** What the command line gives. */
export interface ConfirmOptions {
  readonly repository?: RepositoryFilter;
  readonly yes?: true;
  readonly json?: true;
}

// References that are shown; the others are counted.
const SHOWN = 50;
const PAGE = 1_000;

/** Shows the removals that wait, asks unless `yes` is given, and confirms them; answers the exit code. */
export function confirmRemovals(config: Config, { repository, yes, json }: ConfirmOptions): Promise<number> {
  return withSite(config, async ({ administration }) => {
    await requireKnown(administration, repository);
    const held = await heldReferences(administration, repository);
    const { suspended, suspension } = (await administration.snapshot()).replication.removals;
    if (held.length === 0 && !suspended) return print({ confirmed: 0, suspended }, json);
    if (!yes && !(await ask(held, repository ? null : suspension))) {
      process.stderr.write('nothing was confirmed\n');
      return EXIT.failed;
    }
    return print(await administration.confirmRemovals(repository), json, suspension);
  });
}

async function heldReferences(administration: Administration, repositories?: RepositoryFilter): Promise<string[]> {
  const images: string[] = [];
  const query = { held: true, limit: PAGE, ...(repositories ? { repositories } : {}) };
  for (let after: number | null = 0; after !== null;) {
    const page = await administration.list({ ...query, after });
    const waiting = page.rows.filter(({ confirmed }) => !confirmed);
    images.push(...waiting.map(({ repository, reference }) => visibleText(imageText(repository, reference))));
    after = page.next;
  }
  return images;
}

function question(held: readonly string[], suspension: Suspension | null): string {
  const more = held.length > SHOWN ? [`  and ${countText(held.length - SHOWN)} more`] : [];
  const lines = held.slice(0, SHOWN).map((image) => `  ${image}`);
  const others = suspension
    ? `Removals are suspended (${whyRemovalsWait(suspension)}): what the primary lacks beside these will be removed, too.\n`
    : '';
  const heading = `${counted(held.length, 'removal')} on hold; each is carried out only if the primary still says that it is gone:`;
  return `${[heading, ...lines, ...more].join('\n')}\n${others}Remove from this site? [y/N] `;
}

async function ask(held: readonly string[], suspension: Suspension | null): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new Error('this is no terminal, so it cannot ask: give --yes to confirm without a question');
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // The terminal is in raw mode meanwhile: Ctrl-C comes as a key, not as a signal.
    terminal.on('SIGINT', () => process.exit(EXIT.interrupted));
    // Ctrl-D is a no.
    const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
    return /^y(es)?$/i.test((await Promise.race([terminal.question(question(held, suspension)), closed])).trim());
  } finally {
    terminal.close();
  }
}

function print(answer: ConfirmAnswer, json: true | undefined, suspension: Suspension | null = null): number {
  const { confirmed, suspended } = answer;
  const rest = suspended && suspension ? `; of the others, ${whyRemovalsWait(suspension)}` : '';
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : `${counted(confirmed, 'removal')} confirmed${rest}\n`);
  return EXIT.ok;
}
