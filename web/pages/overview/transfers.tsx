// Blobs on their way from the primary.
import type { JSX } from 'preact';
import type { Transfer } from '../../contract.ts';
import { bytesText, counted, countText } from '../../lib/format.ts';
import { useLive } from '../../lib/live.ts';
import { linkTo } from '../../lib/router.ts';
import { Digest } from '../../parts/copy.tsx';
import { Section, Table } from '../../parts/page.tsx';

const MOST = 8;
const STATES = { waiting: 'waits for a connection', flying: '', storing: 'being stored' } as const;
const PRIORITIES = { 'on-demand': 'client waits', ahead: 'ahead of the client', background: 'replication' } as const;

function Progress({ bytes, size, state, digest }: Transfer): JSX.Element {
  const share = size ? bytes / size : undefined;
  const text =
    STATES[state] || (share === undefined ? bytesText(bytes) : `${Math.floor(share * 100)} % of ${bytesText(size!)}`);
  return (
    <span class="transfer-progress">
      <progress aria-label={`Transfer ${digest.slice(0, 19)}`} {...(share === undefined ? {} : { value: share })} />
      <span>{text}</span>
    </span>
  );
}

function TransferRow({ transfer }: { transfer: Transfer }): JSX.Element {
  const { digest, repositories, bytesPerSecond, connections, readers, priority } = transfer;
  const [first = ''] = repositories;
  return (
    <tr>
      <td data-label="Blob">
        <Digest digest={digest} />
      </td>
      <td data-label="Repository" class="name">
        <a href={linkTo('/repository', { name: first })}>{first}</a>
        {repositories.length > 1 && <span class="note"> +{repositories.length - 1}</span>}
      </td>
      <td data-label="Progress">
        <Progress {...transfer} />
      </td>
      <td data-label="Rate" class="number">
        {bytesText(bytesPerSecond)}/s
      </td>
      <td data-label="Connections" class="number">
        {countText(connections)}
      </td>
      <td data-label="Readers" class="number">
        {countText(readers)}
      </td>
      <td data-label="For">{PRIORITIES[priority]}</td>
    </tr>
  );
}

/** Nothing is shown where nothing is on its way. */
export function Transfers(): JSX.Element | null {
  const transfers = useLive((value) => value.transfers);
  if (!transfers || transfers.length === 0) return null;
  const rate = transfers.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0);
  const rest = transfers.length - MOST;
  return (
    <Section title="Transfers from the primary" note={`${counted(transfers.length, 'blob')}, ${bytesText(rate)}/s`}>
      <Table
        caption="Blobs on their way from the primary"
        heads={['Blob', 'Repository', 'Progress', '#Rate', '#Connections', '#Readers', 'For']}
      >
        {transfers.slice(0, MOST).map((transfer) => (
          <TransferRow key={transfer.digest} transfer={transfer} />
        ))}
      </Table>
      {rest > 0 && <p class="note">{counted(rest, 'more transfer')}</p>}
    </Section>
  );
}
