// The judgement, and below it what needs a person: each failing image with its cause and its button.
import type { JSX } from 'preact';
import type { Attention, CauseGroup, Problem, Snapshot } from '../../contract.ts';
import { counted, countText, imageText } from '../../lib/format.ts';
import { judge, type Judgement } from '../../lib/judgement.ts';
import { imageLink } from '../../lib/router.ts';
import { useLoad, useReplicationKey } from '../../lib/use-load.ts';
import { ActionButton } from '../../parts/action.tsx';
import { Icon, type IconName } from '../../parts/icon.tsx';
import { RowMark, totalOf } from '../../parts/state.tsx';
import { Wells } from './wells.tsx';

const ICONS: Readonly<Record<string, IconName>> = {
  ok: 'ok',
  warning: 'warning',
  error: 'error',
  neutral: 'queued',
  info: 'info',
};

// What is shown here; the rest is on the page of what needs attention.
const GROUPS = 2;
const PROBLEMS = 4;

/** The badge: colour, shape and word. */
export function Badge({ judgement }: { judgement: Judgement }): JSX.Element {
  return (
    <span class={`badge is-${judgement.tone}`} data-testid="badge">
      <Icon name={ICONS[judgement.tone]!} size={18} />
      {judgement.word}
    </span>
  );
}

function FailingImage({ group, onDone }: { group: CauseGroup; onDone: () => void }): JSX.Element | null {
  const row = group.sample[0];
  if (!row) return null;
  const name = imageText(row.repository, row.reference);
  const others = group.count - 1;
  return (
    <li class="failing">
      <div class="failing-what">
        <a class="failing-name" href={imageLink(row.repository, row.reference)}>
          {name}
        </a>
        {others > 0 && <a href="#/attention">and {countText(others)} more</a>}
        {row.state !== 'failed' && <RowMark row={row} />}
      </div>
      <p class="failing-cause">{group.cause}</p>
      <p class="failing-advice">{group.advice}</p>
      <ActionButton
        action="retry"
        look="primary"
        target={others > 0 ? 'all failed images' : name}
        label={others > 0 ? 'Retry all' : 'Retry'}
        scope={others > 0 ? {} : { repository: row.repository, reference: row.reference }}
        onDone={onDone}
      />
    </li>
  );
}

function Failing({ problem }: { problem: Problem }): JSX.Element {
  const { data, reload } = useLoad<Attention>('/api/attention', {}, useReplicationKey());
  const groups = data?.groups ?? [];
  const rest = groups.length - GROUPS;
  return (
    <>
      <ProblemLine problem={problem} isBrief />
      {groups.length > 0 && (
        <li class="failing-box">
          <ul class="failing-list" aria-label="Failing images by cause">
            {groups.slice(0, GROUPS).map((group) => (
              <FailingImage key={group.cause} group={group} onDone={reload} />
            ))}
          </ul>
          {rest > 0 && (
            <a class="more-link" href="#/attention">
              {counted(rest, 'other cause')}
            </a>
          )}
        </li>
      )}
    </>
  );
}

function ProblemLine({ problem, isBrief = false }: { problem: Problem; isBrief?: boolean }): JSX.Element {
  const { severity, text, advice, link } = problem;
  return (
    <li class={`problem is-${severity}`} data-code={problem.code}>
      <Icon name={ICONS[severity]!} />
      <div>
        <p class="problem-text">{link?.startsWith('#') ? <a href={link}>{text}</a> : text}</p>
        {!isBrief && <p class="problem-advice">{advice}</p>}
      </div>
    </li>
  );
}

/** What works, so that a person sees how much of the site is not affected. */
function wellText({ replication, registries, ready }: Snapshot): string {
  const { synced } = replication.tags;
  const parts = [
    ready && 'pulls are answered',
    registries?.primary.up && registries.secondary.up && 'both registries answer',
    synced > 0 && `${counted(synced, 'image')} of ${countText(totalOf(replication.tags))} synced`,
  ].filter((part) => part !== false && part !== undefined);
  if (parts.length === 0) return '';
  return `What works: ${parts.join(', ')}.`;
}

/** @see judge */
export function Verdict({ status }: { status: Snapshot }): JSX.Element {
  const judgement = judge(status);
  const { tone, sentence, problems, notes } = judgement;
  const rest = problems.length - PROBLEMS;
  const shown = rest > 0 ? problems.slice(0, PROBLEMS) : [...problems, ...notes];
  return (
    <section class={`card verdict is-${tone}`} aria-labelledby="verdict-title">
      <header class="verdict-head">
        <Badge judgement={judgement} />
        <h2 id="verdict-title">{sentence}</h2>
      </header>
      <ul class="problems">
        {shown.map((problem) =>
          problem.code === 'failed' ? (
            <Failing key={problem.code} problem={problem} />
          ) : (
            <ProblemLine key={problem.code + problem.text} problem={problem} />
          ),
        )}
      </ul>
      {rest > 0 && (
        <a class="more-link" href="#/attention">
          Show all {countText(problems.length)}
        </a>
      )}
      {tone === 'ok' ? <Wells status={status} /> : <p class="verdict-well">{wellText(status)}</p>}
    </section>
  );
}
