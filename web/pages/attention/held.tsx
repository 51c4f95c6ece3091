// Removals on hold: what would be deleted here, and the button that lets it.
import type { JSX } from 'preact';
import type { Attention, Suspension } from '../../contract.ts';
import { counted, countText, imageText } from '../../lib/format.ts';
import { useLive } from '../../lib/live.ts';
import { imageLink } from '../../lib/router.ts';
import { ActionButton } from '../../parts/action.tsx';
import { Section, Table } from '../../parts/page.tsx';
import { Ago } from '../../parts/time.tsx';

function whyText(suspension: Suspension | null, limit: number): string {
  if (!suspension) return `More removals are due than ${countText(limit)} in 24 hours (GEO_REMOVAL_LIMIT).`;
  if (suspension.because === 'other primary') return 'The primary is another one than before (GEO_PRIMARY_URL).';
  return 'These tags exist only here, and replication has just begun on this site.';
}

function question(count: number): { title: string; text: string; yes: string } {
  const what = counted(count, 'image');
  return {
    title: `Remove ${what} from this site?`,
    text: 'The primary says that it does not have them any more. They are deleted from the secondary registry; only a push to the primary brings them back.',
    yes: `Remove ${what}`,
  };
}

export function Held({ held, onDone }: { held: Attention['held']; onDone: () => void }): JSX.Element | null {
  const { count, rows, suspension } = held;
  const limit = useLive(({ status }) => status?.replication.removals.limit ?? 0);
  if (count === 0 && suspension === null) return null;
  const mayConfirm = suspension?.isCompared ?? true;
  return (
    <Section
      title="Removals on hold"
      note={counted(count, 'image')}
      aside={
        mayConfirm && (
          <ActionButton
            action="confirm-removals"
            label={count === 0 ? 'Allow removals' : `Confirm all ${countText(count)}`}
            target="all held removals"
            look="danger"
            confirm={question(count)}
            onDone={onDone}
          />
        )
      }
    >
      <p class="advice">
        {whyText(suspension, limit)}{' '}
        {mayConfirm
          ? 'If the primary is right, confirm; if it is not, do nothing: what it has again is kept.'
          : 'A compare run has to end first; then you can confirm.'}
      </p>
      {rows.length > 0 && (
        <Table caption="Images whose removal is on hold" heads={['Image', 'Since', '']}>
          {rows.map(({ id, repository, reference, markedAt }) => (
            <tr key={id}>
              <td class="name">
                <a href={imageLink(repository, reference)}>{imageText(repository, reference)}</a>
              </td>
              <td data-label="Since" class="when">
                <Ago at={markedAt} />
              </td>
              <td class="row-actions">
                {mayConfirm && (
                  <ActionButton
                    action="confirm-removals"
                    label="Confirm"
                    target={imageText(repository, reference)}
                    scope={{ repository, reference }}
                    look="quiet"
                    confirm={question(1)}
                    onDone={onDone}
                  />
                )}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {count > rows.length && rows.length > 0 && <p class="note">The first {rows.length} are shown.</p>}
    </Section>
  );
}
