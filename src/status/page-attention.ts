// The sections of the status page that are there only when something needs a person.
import type { BlobRecord, MalformedEvent } from '../replication/rows.ts';
import { counted, countText } from './figures.ts';
import { html, type Html } from './html.ts';
import { name, table, time } from './page-parts.ts';
import type { ListedRepository, RepositoryPage } from './repository-listing.ts';
import type { ListedRow, RowPage } from './row-listing.ts';
import type { Snapshot } from './snapshot.ts';
import { whyRemovalsWait } from './suspension-text.ts';

/** What the page shows; lists are as long as they are worth reading. */
export interface PageData {
  readonly snapshot: Snapshot;
  readonly failed: RowPage;
  readonly unsupported: RowPage;
  readonly waiting: RowPage;
  readonly failedRepositories: RepositoryPage;
  readonly held: RowPage;
  readonly damaged: readonly BlobRecord[];
  readonly malformed: readonly MalformedEvent[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

// They are kept for ever; what came longer ago (ms) is no news.
const EVENT_SHOWN = 7 * 86_400_000;

function more(page: RowPage, query: string): Html | undefined {
  if (page.next === null) return undefined;
  return html`<p><a href="/api/replication?${query}&amp;after=${page.next}">more</a></p>`;
}

function failedRow({ repository, reference, error, attempts, nextAttemptAt }: ListedRow, now: number): Html {
  return html`<tr>
    <td class="name">${name(repository, reference)}</td>
    <td class="reason"><bdi>${error ?? ''}</bdi></td>
    <td data-name="attempts">${countText(attempts)}</td>
    <td data-name="next">${time(nextAttemptAt, now)}</td>
  </tr>`;
}

/** What failed, and why. */
export function failedSection({ failed, snapshot, now }: PageData): Html | undefined {
  if (failed.rows.length === 0) return undefined;
  const rows = failed.rows.map((row) => failedRow(row, now));
  return html`<section class="bad">
    <h2>${counted(snapshot.replication.tags.failed, 'failed tag or manifest', 'failed tags and manifests')}</h2>
    <p>
      They are tried again by themselves, after pauses up to an hour. At once: <code>geo-registry-proxy retry</code>
    </p>
    ${table(['image', 'reason', 'attempts', 'next'], rows)}${more(failed, 'state=failed')}
  </section>`;
}

function reasonRow({ repository, reference, error }: ListedRow): Html {
  return html`<tr>
    <td class="name">${name(repository, reference)}</td>
    <td class="reason"><bdi>${error ?? ''}</bdi></td>
  </tr>`;
}

/** What the local registry does not take, in its own words. */
export function unsupportedSection({ unsupported, snapshot }: PageData): Html | undefined {
  if (unsupported.rows.length === 0) return undefined;
  const { tags } = snapshot.replication;
  return html`<section class="warn">
    <h2>${counted(tags.unsupported, 'unsupported tag or manifest', 'unsupported tags and manifests')}</h2>
    <p>
      The local registry does not take them: clients get them from the primary. They are tried again when they change,
      when the local registry has another version, and once a day. At once: <code>geo-registry-proxy retry</code>
    </p>
    ${table(['image', 'reason'], unsupported.rows.map(reasonRow))}${more(unsupported, 'state=unsupported')}
  </section>`;
}

/** What cannot be done before another tag or manifest is here, or gone. */
export function waitingSection({ waiting, snapshot }: PageData): Html | undefined {
  if (waiting.rows.length === 0) return undefined;
  const { waiting: count } = snapshot.replication;
  return html`<section>
    <h2>${counted(count, 'tag or manifest waits', 'tags and manifests wait')} for another</h2>
    ${table(['image', 'reason'], waiting.rows.map(reasonRow))}${more(waiting, 'waiting=true')}
  </section>`;
}

function repositoryRow({ name: repository, tags, syncedAt }: ListedRepository, now: number): Html {
  const all = Object.values(tags).reduce((sum, count) => sum + count, 0);
  return html`<tr>
    <td class="name">
      <a href="/api/replication?state=failed&amp;repository=${encodeURIComponent(repository)}"
        ><bdi>${repository}</bdi></a
      >
    </td>
    <td data-name="failed">${countText(tags.failed)} of ${countText(all)}</td>
    <td data-name="last synced">${time(syncedAt, now)}</td>
  </tr>`;
}

/** The repositories in which something failed: many rows may be one repository's trouble. */
export function failedRepositoriesSection({ failedRepositories, snapshot, now }: PageData): Html | undefined {
  const { repositories, next } = failedRepositories;
  if (repositories.length === 0) return undefined;
  const rows = repositories.map((repository) => repositoryRow(repository, now));
  const rest = next !== null && html`<p><a href="/api/replication/repositories?failed=true">all of them</a></p>`;
  return html`<section class="bad">
    <h2>${counted(snapshot.replication.repositories.failed, 'repository has', 'repositories have')} failures</h2>
    ${table(['repository', 'failed', 'last synced'], rows)}${rest}
  </section>`;
}

/** Removals that wait for a person, and what to do. */
export function heldSection({ held, snapshot, now }: PageData): Html | undefined {
  const { held: count, limit, suspension } = snapshot.replication.removals;
  const waiting = held.rows.filter(({ confirmed }) => !confirmed);
  if (waiting.length === 0 && !suspension) return undefined;
  const why = suspension
    ? `Of the removals, ${whyRemovalsWait(suspension)}.`
    : `More were due than ${countText(limit)} in 24 hours (GEO_REMOVAL_LIMIT), so these wait.`;
  const rows = waiting.map(
    ({ repository, reference, markedAt }) =>
      html`<tr>
        <td class="name">${name(repository, reference)}</td>
        <td data-name="marked">${time(markedAt, now)}</td>
      </tr>`,
  );
  return html`<section class="warn">
    <h2>${counted(count, 'removal')} on hold</h2>
    <p>
      ${why} The primary says that it does not have these any more. If that is right:
      <code>geo-registry-proxy confirm-removals</code>, for some of them with <code>--repository group/project</code>.
      If it is not, do nothing: what the primary has again is kept.
    </p>
    ${rows.length > 0 && table(['image', 'marked'], rows)}${more(held, 'held=true')}
  </section>`;
}

/** Blobs that were found damaged, and how to mend them. */
export function damagedSection({ damaged, snapshot, now }: PageData): Html | undefined {
  if (damaged.length === 0) return undefined;
  const rows = damaged.map(
    ({ repository, digest, verifiedAt }) =>
      html`<tr>
        <td class="name">${name(repository, digest)}</td>
        <td data-name="read">${time(new Date(verifiedAt).toISOString(), now)}</td>
      </tr>`,
  );
  return html`<section class="bad">
    <h2>${counted(snapshot.damaged, 'damaged blob')}</h2>
    <p>
      Clients get them from the primary. A registry does not overwrite a file that exists: remove the blob's
      <code>data</code> file from the local registry's storage; then it is brought again.
    </p>
    ${table(['blob', 'read'], rows)}
  </section>`;
}

/** Events that could not be understood. */
export function malformedSection({ malformed, snapshot, now }: PageData): Html | undefined {
  const recent = malformed.filter(({ at }) => now - at < EVENT_SHOWN);
  if (recent.length === 0) return undefined;
  const rows = recent.map(
    ({ at, reason }) =>
      html`<tr>
        <td data-name="came">${time(new Date(at).toISOString(), now)}</td>
        <td class="reason"><bdi>${reason}</bdi></td>
      </tr>`,
  );
  return html`<section class="warn">
    <h2>${counted(snapshot.replication.malformedEvents, 'event')} not understood</h2>
    <p>What they told of is found by the next comparison. The newest:</p>
    ${table(['came', 'reason'], rows)}
  </section>`;
}

/** What is wrong with the site now. */
export function troubleSection({ snapshot, now }: PageData): Html | undefined {
  const { pausedUntil, pausedBecause } = snapshot.replication.worker;
  const paused =
    pausedUntil !== null &&
    html`<li>replication pauses: <bdi>${pausedBecause ?? ''}</bdi>; it goes on ${time(pausedUntil, now)}</li>`;
  if (snapshot.reasons.length === 0 && !paused) return undefined;
  return html`<section class="${snapshot.ready ? 'warn' : 'bad'}">
    <h2>Trouble</h2>
    <ul>
      ${snapshot.reasons.map((reason) => html`<li>${reason}</li>`)}${paused}
    </ul>
  </section>`;
}
