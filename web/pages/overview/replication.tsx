// How far the secondary is behind the primary, and what is being done about it.
import type { JSX } from 'preact';
import type { Run, RunKind, Snapshot } from '../../contract.ts';
import { bytesParts, bytesText, counted, countText, durationText, rateText } from '../../lib/format.ts';
import { linkTo } from '../../lib/router.ts';
import { ActionButton } from '../../parts/action.tsx';
import { Icon } from '../../parts/icon.tsx';
import { Empty, Figure, Figures, Section } from '../../parts/page.tsx';
import { StateBar, StateList, totalOf } from '../../parts/state.tsx';
import { Ago, Time } from '../../parts/time.tsx';

const RUNS: Readonly<Record<RunKind, string>> = {
  backfill: 'Backfill',
  reconcile: 'Compare run',
  verify: 'Verification',
};

function runNote(run: Run): string {
  const wrong = [
    run.repositoriesFailed ? `${counted(run.repositoriesFailed, 'repository', 'repositories')} not read` : '',
    run.damaged ? `${countText(run.damaged)} damaged` : '',
    run.marked > 0 ? `${countText(run.marked)} queued` : '',
  ];
  return wrong.filter(Boolean).join(', ');
}

function RunLine({ kind, run }: { kind: RunKind; run: Run | null }): JSX.Element {
  const name = RUNS[kind];
  if (!run) {
    return (
      <li class="run">
        <span class="run-name">{name}</span>
        <span class="run-state none">not yet since the start</span>
      </li>
    );
  }
  const isRunning = run.endedAt === null;
  const share = run.total ? Math.min(1, run.done / run.total) : undefined;
  const left = run.timeLeftMs === null ? '' : `, ${durationText(run.timeLeftMs)} left`;
  const rate = run.ratePerSecond === null ? '' : `, ${rateText(run.ratePerSecond)}/s`;
  const of = run.total === null ? '' : ` of ${countText(run.total)}`;
  return (
    <li class={`run ${isRunning ? 'is-running' : ''}`}>
      <span class="run-name">{name}</span>
      <span class="run-state">
        {run.error !== null && (
          <span class="mark tone-error">
            <Icon name="error" size={14} /> {run.error}
          </span>
        )}
        {run.error === null && !isRunning && (
          <>
            <span class="mark tone-ok">
              <Icon name="ok" size={14} /> ended
            </span>{' '}
            <Ago at={run.endedAt} />
          </>
        )}
        {isRunning && `${countText(run.done)}${of}${rate}${left}`}
      </span>
      {isRunning && <progress aria-label={`${name}: progress`} {...(share === undefined ? {} : { value: share })} />}
      <span class="run-note">
        {isRunning ? (
          <>
            started <Ago at={run.startedAt} />
          </>
        ) : (
          `${counted(run.done, 'image')} in ${durationText(Date.parse(run.endedAt!) - Date.parse(run.startedAt))}`
        )}
        {runNote(run) && ` · ${runNote(run)}`}
      </span>
    </li>
  );
}

function Queue({ replication, rate }: Snapshot): JSX.Element {
  const { queue, lagMs } = replication;
  const waiting = Object.values(queue).reduce((sum, count) => sum + count, 0);
  const reasons = [
    [queue.onDemand, 'by pulls'],
    [queue.event, 'by pushes'],
    [queue.reconcile, 'by compare runs'],
    [queue.backfill, 'by backfill'],
  ] as const;
  const why = reasons.filter(([count]) => count > 0).map(([count, text]) => `${countText(count)} ${text}`);
  const [bytes, unit] = bytesParts(rate?.bytesPerSecond ?? 0);
  return (
    <Figures>
      <Figure label="Queued" value={countText(waiting)} note={why.join(', ') || 'nothing waits'} />
      <Figure label="Lag" value={lagMs === 0 ? 'none' : durationText(lagMs)} note="oldest open push" />
      <Figure
        label="Copying"
        value={bytes}
        unit={`${unit}/s`}
        note={`${rateText(rate?.rowsPerSecond ?? 0)} images/s`}
      />
      <Figure
        label="Time left"
        value={rate?.timeLeftMs === null || !rate || waiting === 0 ? '–' : durationText(rate.timeLeftMs)}
        note={`${bytesText(replication.bytes)} copied in all`}
      />
    </Figures>
  );
}

export function Replication({ status }: { status: Snapshot }): JSX.Element {
  const { on, tags, runs, worker, repositories } = status.replication;
  const total = totalOf(tags);
  return (
    <Section
      title="Replication"
      look="replication"
      note={
        on
          ? `${counted(repositories.known, 'repository', 'repositories')}, ${counted(total, 'image')}`
          : 'off: only what clients pull is stored'
      }
      aside={
        on &&
        total > 0 && (
          <>
            <ActionButton action="verify" target="this site" look="quiet" />
            <ActionButton action="backfill" target="this site" look="quiet" />
          </>
        )
      }
    >
      {worker.pausedUntil !== null && (
        <p class="notice is-warning">
          <Icon name="held" />
          <span>
            Paused: {worker.pausedBecause ?? 'a registry does not answer'}; goes on <Time at={worker.pausedUntil} />
          </span>
        </p>
      )}
      {total === 0 ? (
        <Empty icon="repository" title="No image is known yet">
          <p>{on ? 'A backfill queues all that the primary has.' : 'Images show up here when clients pull them.'}</p>
          {on && <ActionButton action="backfill" target="this site" label="Start a backfill" look="primary" />}
        </Empty>
      ) : (
        <>
          <StateBar tags={tags} />
          <StateList tags={tags} link={(state) => linkTo('/repositories', { state })} />
        </>
      )}
      <Queue {...status} />
      <ul class="runs" aria-label="Runs">
        {(Object.keys(RUNS) as RunKind[]).map((kind) => (
          <RunLine key={kind} kind={kind} run={runs[kind]} />
        ))}
      </ul>
    </Section>
  );
}
