// What was looked at and found well, where nothing needs a person.
import type { JSX } from 'preact';
import type { Snapshot } from '../../contract.ts';
import { counted, countText, durationText, shareText } from '../../lib/format.ts';
import { Icon } from '../../parts/icon.tsx';
import { totalOf } from '../../parts/state.tsx';

function pullsText({ pulls }: Snapshot): string {
  if (!pulls || pulls.today.requests === 0) return 'Pulls are answered; no client has pulled today';
  const { requests, hitRatioRequests } = pulls.today;
  const share = hitRatioRequests === null ? '' : `, ${shareText(hitRatioRequests)} of them from here`;
  return `Pulls are answered: ${counted(requests, 'request')} today${share}`;
}

function imagesText({ replication }: Snapshot): string {
  const { tags, lagMs } = replication;
  const all = totalOf(tags);
  if (all === 0) return 'Nothing waits to be replicated';
  const lag = lagMs === 0 ? '' : `, the oldest open push is ${durationText(lagMs)} old`;
  return `${countText(tags.synced)} of ${counted(all, 'image')} synced, none failed${lag}`;
}

function wellsOf(status: Snapshot): string[] {
  const { registries, webhook } = status;
  return [
    pullsText(status),
    ...(registries ? ['Both registries answer and take our key'] : []),
    imagesText(status),
    'No blob is damaged, and no removal waits',
    ...(webhook?.on && webhook.lastCallAt !== null ? ['The primary’s notifications arrive'] : []),
  ];
}

export function Wells({ status }: { status: Snapshot }): JSX.Element {
  return (
    <ul class="wells">
      {wellsOf(status).map((text) => (
        <li key={text}>
          <Icon name="check" size={14} />
          {text}
        </li>
      ))}
    </ul>
  );
}
