// An order that takes its time: begun once, joined by who asks for the same, refused to who asks for something else.
import type { Log } from '../lib/log.ts';
import type { RepositoryFilter } from './row-listing.ts';

/** What was asked cannot be done in this state; the message says why, and what to do. */
export class NotNow extends Error {}

/**
 * What an order answers. One that runs or waits already and covers this one is joined (`started` is false); `run` is null
 * until it begins: another may have to end first.
 */
export interface OrderAnswer<Run> {
  readonly started: boolean;
  readonly run: Run | null;
}

/** What an order is made of; without a filter it means all repositories. */
export interface OrderDeps<Run> {
  /** Its name for people: `backfill`. */
  readonly name: string;
  /** The run under way, whoever began it. */
  readonly underWay: () => Run | null;
  readonly log: Log;
}

/** Begins a work or joins it. @throws NotNow where another one has to end first */
export type Order<Run> = (
  repositories: RepositoryFilter | undefined,
  begin: () => Promise<unknown>,
) => OrderAnswer<Run>;

/** @see Order */
export function createOrder<Run>({ name, underWay, log }: OrderDeps<Run>): Order<Run> {
  // The one that was asked for last, until it ends; one that replication began by itself is not among them.
  let ordered: { readonly text: string | undefined } | undefined;

  return (repositories, begin) => {
    const text = repositories?.text;
    const run = underWay();
    const current = ordered ?? (run ? { text: undefined } : undefined);
    if (current && (current.text === undefined || current.text === text)) return { started: false, run };
    if (current) throw new NotNow(`a ${name} of ${current.text} is not done yet: ask again when it has ended`);
    ordered = { text };
    begin()
      .catch((error: unknown) => log.error({ reason: (error as Error).message }, `${name} failed`))
      .finally(() => (ordered = undefined));
    return { started: true, run: null };
  };
}
