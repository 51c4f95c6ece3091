// One image: what both registries say of it now, its layers and what refers to it.
import type { JSX } from 'preact';
import type { BlobState, Image, ImageSide } from '../contract.ts';
import { bytesText, counted, imageText } from '../lib/format.ts';
import { imageLink, type Route } from '../lib/router.ts';
import { useLoad, useReplicationKey } from '../lib/use-load.ts';
import { ActionButton } from '../parts/action.tsx';
import { CopyButton, CopyLine, Digest } from '../parts/copy.tsx';
import { Crumbs } from '../parts/crumbs.tsx';
import { Icon, type IconName } from '../parts/icon.tsx';
import { Empty, PageHead, Pending, Section, Table } from '../parts/page.tsx';
import { RowMark } from '../parts/state.tsx';
import { Ago, Time } from '../parts/time.tsx';

const SIDES: Readonly<Record<ImageSide['state'], { icon: IconName; tone: string; text: string }>> = {
  found: { icon: 'ok', tone: 'ok', text: 'found' },
  missing: { icon: 'unsupported', tone: 'warning', text: 'not there' },
  refused: { icon: 'error', tone: 'error', text: 'refused' },
  unreachable: { icon: 'error', tone: 'error', text: 'does not answer' },
};

const BLOBS: Readonly<Record<BlobState, { icon: IconName; tone: string; text: string }>> = {
  here: { icon: 'ok', tone: 'ok', text: 'here' },
  missing: { icon: 'backfill', tone: 'warning', text: 'not here yet' },
  damaged: { icon: 'error', tone: 'error', text: 'damaged here' },
  unknown: { icon: 'info', tone: 'neutral', text: 'not known' },
};

function Mark({ icon, tone, text }: { icon: IconName; tone: string; text: string }): JSX.Element {
  return (
    <span class={`mark tone-${tone}`}>
      <Icon name={icon} size={14} />
      {text}
    </span>
  );
}

const isHere = (here: boolean | null): BlobState => (here === null ? 'unknown' : here ? 'here' : 'missing');

function Side({ title, side }: { title: string; side: ImageSide }): JSX.Element {
  return (
    <section class="card part" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <Mark {...SIDES[side.state]} />
      </header>
      <p class="part-about">
        <Digest digest={side.digest} none="no digest" />
      </p>
      {side.cause !== null && <p class="part-facts tone-error">{side.cause}</p>}
    </section>
  );
}

function Row({ row }: { row: NonNullable<Image['row']> }): JSX.Element {
  return (
    <section class="card part" aria-label="Replication">
      <header>
        <h2>Replication</h2>
        <RowMark row={row} />
      </header>
      <p class="part-about">
        synced <Ago at={row.syncedAt} />, verified <Ago at={row.verifiedAt} />
      </p>
      {row.error !== null && (
        <p class="part-facts cause">
          {row.error}
          <span class="note">
            {counted(row.attempts, 'attempt')}
            {row.nextAttemptAt !== null && (
              <>
                , next <Time at={row.nextAttemptAt} />
              </>
            )}
          </span>
        </p>
      )}
    </section>
  );
}

function SizeCell({ size }: { size: number | null }): JSX.Element {
  return (
    <td data-label="Size" class="number">
      {size === null ? <span class="none">–</span> : bytesText(size)}
    </td>
  );
}

function Platforms({ image }: { image: Image }): JSX.Element | null {
  if (image.platforms.length === 0) return null;
  return (
    <Section title="Platforms" note={counted(image.platforms.length, 'platform')}>
      <Table caption="Platforms of this image" heads={['Platform', 'Manifest', '#Size', 'State']}>
        {image.platforms.map(({ platform, digest, size, here }) => (
          <tr key={digest}>
            <td class="name">
              <a href={imageLink(image.repository, digest)}>{platform}</a>
            </td>
            <td data-label="Manifest">
              <Digest digest={digest} />
            </td>
            <SizeCell size={size} />
            <td data-label="State">
              <Mark {...BLOBS[isHere(here)]} />
            </td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

function Layers({ layers }: Pick<Image, 'layers'>): JSX.Element | null {
  if (layers.length === 0) return null;
  const total = layers.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const here = layers.filter(({ local }) => local === 'here').length;
  return (
    <Section title="Layers" note={`${here} of ${layers.length} here, ${bytesText(total)}`}>
      <Table caption="Layers of this image" heads={['Layer', 'Type', '#Size', 'State']}>
        {layers.map(({ digest, mediaType, size, local }, index) => (
          <tr key={`${index} ${digest}`}>
            <td>
              <Digest digest={digest} />
            </td>
            <td data-label="Type" class="type">
              {mediaType}
            </td>
            <SizeCell size={size} />
            <td data-label="State">
              <Mark {...BLOBS[local]} />
            </td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

function Referrers({ image }: { image: Image }): JSX.Element {
  return (
    <Section
      title="Signatures and attachments"
      note={image.referrers.length === 0 ? '' : counted(image.referrers.length, 'manifest')}
    >
      {image.referrers.length === 0 ? (
        <Empty icon="info" title="Nothing refers to this image">
          <p>Signatures, SBOMs and attestations that are pushed for it show up here.</p>
        </Empty>
      ) : (
        <Table caption="What refers to this image" heads={['What', 'Type', 'Manifest', 'State']}>
          {image.referrers.map(({ digest, what, artifactType, here }) => (
            <tr key={digest}>
              <td class="name">
                <a href={imageLink(image.repository, digest)}>{what}</a>
              </td>
              <td data-label="Type" class="type">
                {artifactType}
              </td>
              <td data-label="Manifest">
                <Digest digest={digest} />
              </td>
              <td data-label="State">
                <Mark {...BLOBS[isHere(here)]} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Section>
  );
}

function Manifest({ manifest }: { manifest: NonNullable<Image['manifest']> }): JSX.Element {
  return (
    <Section
      title="Manifest"
      note={`${manifest.mediaType}, ${bytesText(manifest.size)}`}
      aside={<CopyButton text={manifest.json} what="the manifest" />}
    >
      <details class="manifest">
        <summary>Show the JSON</summary>
        <pre tabIndex={0} aria-label="The manifest as JSON">
          {manifest.json}
        </pre>
      </details>
    </Section>
  );
}

export function ImageView({ route }: { route: Route }): JSX.Element {
  const repository = route.query.get('repository') ?? '';
  const reference = route.query.get('reference') ?? '';
  const { data, error, reload } = useLoad<Image>('/api/image', { repository, reference }, useReplicationKey());
  const title = imageText(repository, reference);
  const scope = { repository, reference };
  const isFailed = data?.row?.state === 'failed' || data?.row?.state === 'unsupported';
  return (
    <>
      <PageHead title={title} crumbs={<Crumbs repository={repository} isLinked />}>
        <ActionButton
          action="retry"
          target={title}
          scope={scope}
          look={isFailed ? 'primary' : 'plain'}
          onDone={reload}
        />
        <ActionButton action="verify" target={title} scope={scope} onDone={reload} />
      </PageHead>
      {!data && (
        <section class="card">
          <Pending error={error} onRetry={reload} lines={6} />
        </section>
      )}
      {data && (
        <>
          <CopyLine text={data.pull} what="the pull command" />
          <div class="parts">
            <Side title="At the primary" side={data.primary} />
            <Side title="Here" side={data.secondary} />
            {data.row && <Row row={data.row} />}
          </div>
          <Platforms image={data} />
          <Layers layers={data.layers} />
          <Referrers image={data} />
          {data.manifest && <Manifest manifest={data.manifest} />}
        </>
      )}
    </>
  );
}
