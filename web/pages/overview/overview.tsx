// The first page: is it doing its job, what is wrong, and what does it save.
import type { JSX } from 'preact';
import { PageHead, Pending } from '../../parts/page.tsx';
import { useLive } from '../../lib/live.ts';
import { PullsTable } from './pulls-table.tsx';
import { Replication } from './replication.tsx';
import { Saved } from './saved.tsx';
import { Site } from './site.tsx';
import { TrafficCard } from './traffic.tsx';
import { Transfers } from './transfers.tsx';
import { Verdict } from './verdict.tsx';

export function Overview(): JSX.Element {
  const status = useLive((value) => value.status);
  return (
    <>
      <div class="sr-only">
        <PageHead title="Overview" />
      </div>
      {!status && <Pending error={undefined} onRetry={() => undefined} lines={8} />}
      {status && (
        <>
          <div class="hero">
            <Verdict status={status} />
            <Saved pulls={status.pulls} />
          </div>
          <Site status={status} />
          <div class="halves">
            <TrafficCard status={status} />
            <Replication status={status} />
          </div>
          <Transfers />
          <PullsTable />
        </>
      )}
    </>
  );
}
