// The doctor's checks, those that write nothing, with what to do.
import type { JSX } from 'preact';
import type { Finding } from '../contract.ts';
import { counted } from '../lib/format.ts';
import { useLoad } from '../lib/use-load.ts';
import { Icon, type IconName } from '../parts/icon.tsx';
import { PageHead, Pending, Section } from '../parts/page.tsx';

const LEVELS: Readonly<Record<Finding['level'], { icon: IconName; tone: string; text: string }>> = {
  error: { icon: 'error', tone: 'error', text: 'error' },
  warning: { icon: 'warning', tone: 'warning', text: 'warning' },
  ok: { icon: 'ok', tone: 'ok', text: 'fine' },
  skipped: { icon: 'info', tone: 'neutral', text: 'skipped' },
};
const ORDER = Object.keys(LEVELS) as Finding['level'][];

function FindingLine({ finding }: { finding: Finding }): JSX.Element {
  const { check, level, text, advice } = finding;
  const { icon, tone, text: word } = LEVELS[level];
  return (
    <li class={`finding is-${level}`}>
      <span class={`mark tone-${tone}`}>
        <Icon name={icon} />
        <span class="sr-only">{word}</span>
      </span>
      <div>
        <h3>{check}</h3>
        <p>{text}</p>
        {advice && <p class="advice">{advice}</p>}
      </div>
    </li>
  );
}

function summary(findings: readonly Finding[]): string {
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const parts = [
    count('error') && counted(count('error'), 'error'),
    count('warning') && counted(count('warning'), 'warning'),
    count('ok') && `${count('ok')} fine`,
    count('skipped') && `${count('skipped')} skipped`,
  ];
  return parts.filter(Boolean).join(', ');
}

export function Doctor(): JSX.Element {
  const { data, error, isLoading, reload } = useLoad<{ findings: readonly Finding[] }>('/api/doctor');
  const findings = ORDER.flatMap((level) => (data?.findings ?? []).filter((finding) => finding.level === level));
  return (
    <>
      <PageHead title="Doctor">
        <button type="button" class="button is-plain" aria-disabled={isLoading} onClick={() => !isLoading && reload()}>
          <Icon name={isLoading ? 'sync' : 'retry'} size={14} /> {isLoading ? 'Checking…' : 'Run again'}
        </button>
      </PageHead>
      <Section
        title="Checks"
        note={data ? summary(findings) : 'both registries are being asked'}
        look={isLoading ? 'is-loading' : ''}
      >
        {!data && <Pending error={error} onRetry={reload} lines={8} />}
        {data && (
          <ul class="findings">
            {findings.map((finding) => (
              <FindingLine key={finding.check + finding.text} finding={finding} />
            ))}
          </ul>
        )}
      </Section>
      <p class="note page-note">
        <Icon name="info" size={14} />
        <span>
          These checks only read. <code>geo-registry-proxy doctor</code> also tries to write to the secondary registry.
        </span>
      </p>
    </>
  );
}
