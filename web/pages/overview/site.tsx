// Both registries, the webhook and the spool, a small card each.
import type { ComponentChildren, JSX } from 'preact';
import type { RegistryState, Snapshot } from '../../contract.ts';
import { bytesText, counted, durationText } from '../../lib/format.ts';
import { Icon } from '../../parts/icon.tsx';
import { Ago, Lasting } from '../../parts/time.tsx';

type Tone = 'ok' | 'warning' | 'error' | 'neutral';
const ICONS = { ok: 'ok', warning: 'warning', error: 'error', neutral: 'info' } as const;

interface PartProps {
  readonly title: string;
  readonly tone: Tone;
  readonly state: string;
  readonly about: ComponentChildren;
  readonly children: ComponentChildren;
}

function Part({ title, tone, state, about, children }: PartProps): JSX.Element {
  return (
    <section class={`card part is-${tone}`} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span class={`mark tone-${tone}`}>
          <Icon name={ICONS[tone]} size={14} />
          {state}
        </span>
      </header>
      <p class="part-about">{about}</p>
      <p class="part-facts">{children}</p>
    </section>
  );
}

function RegistryPart({ title, registry }: { title: string; registry: RegistryState }): JSX.Element {
  const { url, up, since, latencyMs, cause, about } = registry;
  return (
    <Part title={title} tone={up ? 'ok' : 'error'} state={up ? 'up' : 'down'} about={<span title={url}>{url}</span>}>
      {!up && <strong class="tone-error">{cause ?? 'does not answer'}</strong>}
      {up && latencyMs !== null && <span>{durationText(latencyMs)}</span>}
      {up && about && <span>{about}</span>}
      {since && (
        <span>
          {up ? 'up' : 'down'} for <Lasting at={since} />
        </span>
      )}
    </Part>
  );
}

type Webhook = NonNullable<Snapshot['webhook']>;

function webhookLook({ on, lastCallAt, lastResult }: Webhook): { tone: Tone; state: string } {
  if (!on) return { tone: 'neutral', state: 'off' };
  if (lastCallAt === null) return { tone: 'warning', state: 'never called' };
  if (lastResult === 'accepted' || lastResult === null) return { tone: 'ok', state: 'works' };
  return { tone: 'warning', state: lastResult };
}

function WebhookPart({ webhook }: { webhook: Webhook }): JSX.Element {
  const { on, path, lastCallAt, calls, refused } = webhook;
  return (
    <Part title="Webhook" {...webhookLook(webhook)} about={<span title={path}>{path}</span>}>
      {!on && <span>pushes are found by compare runs; GEO_EVENTS_TOKEN turns it on</span>}
      {on && lastCallAt === null && <span>the primary has not sent a notification yet</span>}
      {lastCallAt !== null && (
        <span>
          last call <Ago at={lastCallAt} />
        </span>
      )}
      {calls > 0 && <span>{counted(calls, 'call')}</span>}
      {refused > 0 && <span class="tone-warning">{refused} refused</span>}
    </Part>
  );
}

function SpoolPart({ spool }: { spool: NonNullable<Snapshot['spool']> }): JSX.Element {
  const share = spool.max === 0 ? 0 : spool.bytes / spool.max;
  const tone = share > 0.95 ? 'error' : share > 0.8 ? 'warning' : 'ok';
  const state = share > 0.95 ? 'full' : `${Math.round(share * 100)} % used`;
  return (
    <Part title="Spool" tone={tone} state={state} about={`${bytesText(spool.bytes)} of ${bytesText(spool.max)}`}>
      {spool.diskFreeBytes === null ? (
        <span>for blobs on their way</span>
      ) : (
        <span>{bytesText(spool.diskFreeBytes)} free on disk</span>
      )}
    </Part>
  );
}

export function Site({ status }: { status: Snapshot }): JSX.Element {
  const { registries, webhook, spool } = status;
  return (
    <div class="parts">
      {registries && <RegistryPart title="Primary registry" registry={registries.primary} />}
      {registries && <RegistryPart title="Secondary registry" registry={registries.secondary} />}
      {webhook && <WebhookPart webhook={webhook} />}
      {spool && <SpoolPart spool={spool} />}
    </div>
  );
}
