// Blobs that are damaged here, missing here or missing at the primary: three things, each with its own advice.
import type { JSX } from 'preact';
import type { Damage, DamageKind } from '../../contract.ts';
import { counted, shortDigest } from '../../lib/format.ts';
import { linkTo } from '../../lib/router.ts';
import { ActionButton } from '../../parts/action.tsx';
import { CopyButton, Digest } from '../../parts/copy.tsx';
import { Section, Table } from '../../parts/page.tsx';
import { Ago } from '../../parts/time.tsx';

const KINDS: Readonly<Record<DamageKind, string>> = {
  'damaged-here': 'Damaged here',
  'missing-here': 'Missing here',
  'missing-at-primary': 'Missing at the primary',
};

const CONFIRM = {
  title: 'Remove this mark?',
  text: 'The blob counts as whole again until it is verified anew. Remove the mark only when its file was mended or removed.',
  yes: 'Remove the mark',
};

function DamageRow({ damage, onDone }: { damage: Damage; onDone: () => void }): JSX.Element {
  const { repository, digest, foundAt, file, kind } = damage;
  return (
    <tr>
      <td data-label="Blob">
        <Digest digest={digest} />
      </td>
      <td data-label="Repository" class="name">
        <a href={linkTo('/repository', { name: repository })}>{repository}</a>
      </td>
      <td data-label="File" class="file">
        <span class="file-line">
          <code title={file}>
            <bdi>{file}</bdi>
          </code>
          <CopyButton text={file} what={`the path of ${shortDigest(digest)}`} />
        </span>
      </td>
      <td data-label="Found" class="when">
        <Ago at={foundAt} />
      </td>
      <td class="row-actions">
        <ActionButton
          action={kind === 'damaged-here' ? 'verify' : 'retry'}
          target={repository}
          scope={{ repository }}
          look="quiet"
          onDone={onDone}
        />
        <ActionButton
          action="clear-damaged"
          target={`blob ${shortDigest(digest)}`}
          scope={{ repository, digest }}
          look="quiet"
          confirm={CONFIRM}
          onDone={onDone}
        />
      </td>
    </tr>
  );
}

interface KindProps {
  readonly kind: DamageKind;
  readonly damaged: readonly Damage[];
  readonly onDone: () => void;
}

function Kind({ kind, damaged, onDone }: KindProps): JSX.Element | null {
  if (damaged.length === 0) return null;
  const advice = [...new Set(damaged.map((damage) => damage.advice))];
  return (
    <Section title={KINDS[kind]} note={counted(damaged.length, 'blob')} look="damages">
      {advice.map((text) => (
        <p key={text} class="advice">
          {text}
        </p>
      ))}
      <Table caption={`Blobs: ${KINDS[kind]}`} look="damage-rows" heads={['Blob', 'Repository', 'File', 'Found', '']}>
        {damaged.map((damage) => (
          <DamageRow key={damage.repository + damage.digest} damage={damage} onDone={onDone} />
        ))}
      </Table>
    </Section>
  );
}

/** @see Damage */
export function Damages({ damaged, onDone }: { damaged: readonly Damage[]; onDone: () => void }): JSX.Element {
  return (
    <>
      {(Object.keys(KINDS) as DamageKind[]).map((kind) => (
        <Kind key={kind} kind={kind} damaged={damaged.filter((damage) => damage.kind === kind)} onDone={onDone} />
      ))}
    </>
  );
}
