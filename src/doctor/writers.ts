// Another replicator at work on the same secondary: told by tags there that are not as we left them. What it did before
// our last comparison looks like our own work, so that finding nothing proves nothing.
import type { Digest } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import type { Registry } from '../registry/registry.ts';
import { forEach } from '../replication/for-each.ts';
import { BACKFILLED } from '../replication/reconcile.ts';
import { WHOLE_REPOSITORY, type Row } from '../replication/row.ts';
import type { RowStore } from '../replication/rows.ts';
import { WalkFailed, walkTags } from '../replication/walk.ts';
import { ok, skipped, warning, type Finding } from './finding.ts';

/** The rows, to look at. */
export type RowReader = Pick<RowStore, 'repositories' | 'list' | 'find' | 'getFact'>;

/** What the check needs; `timeout` in ms. */
export interface WritersDeps {
  readonly rows: RowReader;
  readonly secondary: Registry;
  /** Whether the repository is replicated. */
  readonly isStored: (name: string) => boolean;
  readonly isGitlab: boolean;
  readonly timeout: number;
}

const REPOSITORIES_MAX = 20;
const TAGS_MAX = 200;
const ROWS_MAX = 1_000;
const AT_ONCE = 8;
const SHOWN = 3;

const GITLAB =
  "it is GitLab's registry: where Geo's own container registry replication is on, GEO_REPLICATION has to be off";

/** Something that is not as we left it. */
interface Suspect {
  readonly image: string;
  readonly what: string;
}

/** A tag of the secondary, and the row that we have for it. */
interface Known {
  readonly name: string;
  readonly reference: string;
  readonly row: Row | undefined;
}

/** Some replicated repositories that have rows, from all over the site. */
async function sample({ rows, isStored }: WritersDeps): Promise<string[]> {
  const names = (await rows.repositories()).filter(isStored);
  const step = Math.max(1, names.length / REPOSITORIES_MAX);
  return Array.from({ length: Math.min(names.length, REPOSITORIES_MAX) }, (_, nth) => names[Math.floor(nth * step)]!);
}

async function firstTags({ secondary, timeout }: WritersDeps, name: string): Promise<readonly string[]> {
  for await (const page of walkTags(secondary, name, timeout)) return page;
  return [];
}

/**
 * The tags of a repository with their rows. Tags come first: a row is there before its tag is put. A repository that is
 * about to be walked, is too large to be read here, or cannot be listed, is left out.
 */
async function knownOf(deps: WritersDeps, name: string): Promise<readonly Known[]> {
  const tags = await firstTags(deps, name).catch((error: unknown) => {
    if (error instanceof WalkFailed) return undefined;
    throw error;
  });
  if (!tags) return [];
  const rows = await deps.rows.list({ repository: name, limit: ROWS_MAX });
  if (rows.length === ROWS_MAX || rows.some(({ reference }) => reference === WHOLE_REPOSITORY)) return [];
  const byReference = new Map(rows.map((row) => [row.reference, row]));
  const references = new Set([...tags, ...byReference.keys()]);
  return [...references].map((reference) => ({ name, reference, row: byReference.get(reference) }));
}

function isUnchanged(before: Row | undefined, now: Row | undefined): boolean {
  if (!before || !now) return before === now;
  return now.state === before.state && now.generation === before.generation && now.syncedAt === before.syncedAt;
}

/** What the secondary has for a reference: a digest, or `null` for nothing; undefined where it does not say. */
async function localDigest(
  { secondary, timeout }: WritersDeps,
  { name, reference }: Known,
): Promise<Digest | null | undefined> {
  const parsed = parseReference(reference);
  const answer = parsed && (await secondary.manifests.head(name, parsed, timeout));
  if (answer?.kind === 'found') return answer.value.digest;
  return answer?.kind === 'missing' ? null : undefined;
}

function whatOf(row: Row | undefined, here: Digest | null | undefined): string | undefined {
  if (here === undefined) return undefined;
  if (!row) return here === null ? undefined : 'not put there by us';
  if (row.state !== 'synced' || row.localDigest === undefined || here === row.localDigest) return undefined;
  return here === null ? 'gone since we put it there' : 'another than we put there';
}

async function suspectOf(deps: WritersDeps, known: Known): Promise<Suspect | undefined> {
  const { name, reference, row } = known;
  // What we are about to change says nothing.
  if (row && row.state !== 'synced') return undefined;
  const what = whatOf(row, await localDigest(deps, known));
  if (what === undefined) return undefined;
  // A worker may have been at it meanwhile.
  if (!isUnchanged(row, await deps.rows.find(name, reference))) return undefined;
  return { image: `${name}${reference.includes(':') ? '@' : ':'}${reference}`, what };
}

/** Looks at 200 tags of 20 repositories at the most. @throws StoreUnavailable */
export async function checkWriters(deps: WritersDeps): Promise<Finding> {
  if ((await deps.rows.getFact(BACKFILLED)) !== true)
    return skipped('the first backfill is not done yet: what is whose cannot be told');
  const all: Known[] = [];
  for (const name of await sample(deps)) {
    if (all.length >= TAGS_MAX) break;
    all.push(...(await knownOf(deps, name)));
  }
  const looked = all.slice(0, TAGS_MAX);
  if (looked.length === 0) return skipped('there is no replicated tag that can be looked at');
  const suspects: Suspect[] = [];
  await forEach(looked, AT_ONCE, async (known) => {
    const suspect = await suspectOf(deps, known);
    if (suspect) suspects.push(suspect);
  });
  const note = deps.isGitlab ? `; ${GITLAB}` : '';
  const many =
    looked.length === 1
      ? '1 tag that was looked at is as we left it'
      : `${looked.length} tags that were looked at are as we left them`;
  if (suspects.length === 0) return ok(`${many} (what others did before our last comparison does not show)${note}`);
  const shown = suspects
    .toSorted((one, other) => (one.image < other.image ? -1 : 1))
    .slice(0, SHOWN)
    .map(({ image, what }) => `${image} (${what})`);
  return warning(
    `somebody else writes to the secondary: ${suspects.length} of ${looked.length} tags that were looked at are not as we left them, ${shown.join(', ')}`,
    `set GEO_REPLICATION=off if GitLab Geo's container registry replication is on, or end what else copies or deletes there`,
  );
}
