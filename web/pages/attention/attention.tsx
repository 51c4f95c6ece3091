// What needs a person: what fails by cause, damaged blobs, removals on hold, notifications that were not understood.
import type { JSX } from 'preact';
import type { Attention } from '../../contract.ts';
import { counted } from '../../lib/format.ts';
import { judge } from '../../lib/judgement.ts';
import { useLive } from '../../lib/live.ts';
import type { Route } from '../../lib/router.ts';
import { useLoad, useReplicationKey } from '../../lib/use-load.ts';
import { ActionButton } from '../../parts/action.tsx';
import { Icon } from '../../parts/icon.tsx';
import { Empty, PageHead, Pending, Section, Table } from '../../parts/page.tsx';
import { Ago } from '../../parts/time.tsx';
import { Damages } from './damages.tsx';
import { FailingGroups } from './failing.tsx';
import { Held } from './held.tsx';

// Problems that a section below tells more of.
const TOLD_BELOW = new Set(['failed', 'unsupported', 'damaged', 'missing-at-primary', 'held', 'malformed-events']);

function OtherProblems(): JSX.Element | null {
  const status = useLive((value) => value.status);
  if (!status) return null;
  const problems = judge(status).problems.filter(({ code }) => !TOLD_BELOW.has(code));
  if (problems.length === 0) return null;
  return (
    <Section title="This site" note={counted(problems.length, 'problem')} aside={<a href="#/doctor">Run the doctor</a>}>
      <ul class="problems">
        {problems.map(({ code, severity, text, advice }) => (
          <li key={code + text} class={`problem is-${severity}`}>
            <Icon name={severity === 'error' ? 'error' : 'warning'} />
            <div>
              <p class="problem-text">{text}</p>
              <p class="problem-advice">{advice}</p>
            </div>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Malformed({ malformed }: Pick<Attention, 'malformed'>): JSX.Element | null {
  if (malformed.length === 0) return null;
  return (
    <Section title="Notifications not understood" note={counted(malformed.length, 'notification')}>
      <p class="advice">Nothing is lost: the next compare run finds what they were about.</p>
      <Table caption="Notifications that were not understood" heads={['When', 'Why', 'What came']}>
        {malformed.map(({ at, reason, body }, index) => (
          <tr key={index}>
            <td data-label="When" class="when">
              <Ago at={at} />
            </td>
            <td data-label="Why" class="cause">
              {reason}
            </td>
            <td data-label="What came" class="name">
              <code class="body">{body.slice(0, 300)}</code>
            </td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

function isEmpty({ groups, damaged, held, malformed }: Attention): boolean {
  return groups.length + damaged.length + held.count + malformed.length === 0 && held.suspension === null;
}

export function AttentionView({ route }: { route: Route }): JSX.Element {
  const { data, error, reload } = useLoad<Attention>('/api/attention', {}, useReplicationKey());
  const isWell = useLive(({ status }) => !status || judge(status).problems.length === 0);
  return (
    <>
      <PageHead title="Attention">
        {data && data.groups.length > 0 && (
          <ActionButton action="retry" label="Retry all" target="all failed images" look="primary" onDone={reload} />
        )}
      </PageHead>
      <OtherProblems />
      {!data && (
        <section class="card">
          <Pending error={error} onRetry={reload} lines={6} />
        </section>
      )}
      {data && isEmpty(data) && isWell && (
        <section class="card">
          <Empty icon="ok" title="Nothing needs attention">
            <p>No image fails, no blob is damaged, and no removal waits. The doctor looks at the set-up itself.</p>
            <a class="button is-plain" href="#/doctor">
              Run the doctor
            </a>
          </Empty>
        </section>
      )}
      {data && (
        <>
          <FailingGroups groups={data.groups} cause={route.query.get('cause')} onDone={reload} />
          <Damages damaged={data.damaged} onDone={reload} />
          <Held held={data.held} onDone={reload} />
          <Malformed malformed={data.malformed} />
        </>
      )}
    </>
  );
}
