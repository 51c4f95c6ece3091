// The last pulls, the newest first, as they come in.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Pull } from '../../contract.ts';
import { bytesText, countText, durationText, shortDigest, withShortDigests } from '../../lib/format.ts';
import { useLive } from '../../lib/live.ts';
import { imageLink, linkTo } from '../../lib/router.ts';
import { Choice, Empty, Pending, Section, Table } from '../../parts/page.tsx';
import { OriginMark } from '../../parts/state.tsx';
import { Ago } from '../../parts/time.tsx';

type Kept = 'all' | 'manifests' | 'failed';
const KEPT: Readonly<Record<Kept, string>> = { all: 'All', manifests: 'Images', failed: 'Failed' };
const FEW = 12;

function isKept({ kind, status }: Pull, kept: Kept): boolean {
  if (kept === 'failed') return status >= 400;
  return kept === 'all' || kind === 'manifest';
}

function What({ pull }: { pull: Pull }): JSX.Element {
  const { repository, reference, digest, kind } = pull;
  if (repository === null) return <span>{kind}</span>;
  if (kind === 'manifest' && reference !== null) {
    const isTag = !reference.includes(':');
    return (
      <a href={imageLink(repository, reference)} title={digest ?? reference}>
        {repository}
        <span class="reference">{isTag ? `:${reference}` : `@${shortDigest(reference)}`}</span>
      </a>
    );
  }
  return (
    <>
      <a href={linkTo('/repository', { name: repository })}>{repository}</a>{' '}
      <span class="note" title={digest ?? undefined}>
        {kind} {digest && shortDigest(digest)}
      </span>
    </>
  );
}

function PullRow({ pull }: { pull: Pull }): JSX.Element {
  const { at, method, origin, status, bytes, ms, ttfbMs, user, client, address, cause } = pull;
  const isBad = status >= 400;
  return (
    <tr class={isBad ? 'is-bad' : ''}>
      <td data-label="When" class="when">
        <Ago at={at} />
      </td>
      <td data-label="What" class="name">
        <What pull={pull} />
        {cause !== null && (
          <p class="cause" title={cause}>
            {withShortDigests(cause)}
          </p>
        )}
      </td>
      <td data-label="From">
        <OriginMark origin={origin} />
      </td>
      <td data-label="Status" class="status">
        {isBad ? <strong class="tone-error">{status}</strong> : status}{' '}
        <span class="note">{method === 'GET' ? '' : method}</span>
      </td>
      <td data-label="Size" class="number">
        {bytesText(bytes)}
      </td>
      <td
        data-label="Took"
        class="number"
        title={ttfbMs === null ? undefined : `first byte after ${durationText(ttfbMs)}`}
      >
        {durationText(ms)}
      </td>
      <td data-label="Who" class="who" title={user ?? undefined}>
        {user ?? <span class="none">–</span>}
      </td>
      <td data-label="Client" class="who" title={[client, address].filter(Boolean).join(', ')}>
        {client ?? address ?? <span class="none">–</span>}
      </td>
    </tr>
  );
}

export function PullsTable(): JSX.Element {
  const pulls = useLive((value) => value.pulls);
  const [kept, setKept] = useState<Kept>('all');
  const [isLong, setLong] = useState(false);
  const matching = (pulls ?? []).filter((pull) => isKept(pull, kept));
  const shown = isLong ? matching : matching.slice(0, FEW);
  return (
    <Section
      title="Last pulls"
      note={pulls && pulls.length > 0 ? `the last ${countText(pulls.length)} requests` : ''}
      aside={<Choice label="Which pulls" value={kept} options={KEPT} onChange={setKept} />}
    >
      {!pulls && <Pending error={undefined} onRetry={() => undefined} />}
      {pulls && shown.length === 0 && (
        <Empty
          icon={kept === 'failed' ? 'ok' : 'backfill'}
          title={kept === 'failed' ? 'No failed pulls' : 'No pulls yet'}
        >
          {kept === 'failed' ? (
            <p>None of the last {pulls.length} requests failed.</p>
          ) : (
            <p>Pull an image through this site’s hostname; it shows up here at once.</p>
          )}
        </Empty>
      )}
      {shown.length > 0 && (
        <Table
          caption="The last pulls"
          look="pulls"
          heads={['When', 'What', 'From', 'Status', '#Size', '#Took', 'Who', 'Client']}
        >
          {shown.map((pull) => (
            <PullRow key={pull.id} pull={pull} />
          ))}
        </Table>
      )}
      {matching.length > FEW && (
        <button type="button" class="button is-quiet more" onClick={() => setLong(!isLong)} aria-expanded={isLong}>
          {isLong ? 'Show fewer' : `Show all ${countText(matching.length)}`}
        </button>
      )}
    </Section>
  );
}
