// What the proxy is for, as one number: traffic that did not have to cross from the primary today.
import type { JSX } from 'preact';
import type { PullTotals, Snapshot } from '../../contract.ts';
import { bytesParts, bytesText, counted, shareText } from '../../lib/format.ts';

function Split({ saved, crossed }: { saved: number; crossed: number }): JSX.Element {
  return (
    <div class="split" role="img" aria-label={`${bytesText(saved)} saved, ${bytesText(crossed)} from the primary`}>
      <span class="split-saved" style={{ flexGrow: saved }} />
      <span class="split-crossed" style={{ flexGrow: crossed }} />
    </div>
  );
}

function Numbers({ today, sinceStart }: { today: PullTotals; sinceStart: PullTotals }): JSX.Element {
  const { wanSavedBytes: saved, wanBytes: crossed, requests } = today;
  const [value, unit] = bytesParts(saved);
  return (
    <>
      <p class="saved-value" data-testid="saved-today">
        {value} <span class="unit">{unit}</span>
      </p>
      <p class="saved-text">less traffic over the WAN</p>
      {saved + crossed > 0 && <Split saved={saved} crossed={crossed} />}
      <dl class="saved-list">
        <div>
          <dt class="swatch">Crossed from the primary</dt>
          <dd>{bytesText(crossed)}</dd>
        </div>
        <div>
          <dt>Sent to clients</dt>
          <dd>{bytesText(today.bytes)}</dd>
        </div>
        <div>
          <dt>Bytes answered from here</dt>
          <dd>{shareText(today.hitRatioBytes)}</dd>
        </div>
        <div>
          <dt>Saved since the start</dt>
          <dd>{bytesText(sinceStart.wanSavedBytes)}</dd>
        </div>
      </dl>
      {requests === 0 && <p class="saved-text">No client has pulled today.</p>}
      {requests > 0 && <p class="sr-only">{counted(requests, 'request')} today</p>}
    </>
  );
}

export function Saved({ pulls }: { pulls: Snapshot['pulls'] }): JSX.Element {
  return (
    <section class="card saved" aria-labelledby="saved-title">
      <h2 id="saved-title">Saved today</h2>
      {pulls ? <Numbers {...pulls} /> : <p class="saved-text">Known while the proxy runs.</p>}
    </section>
  );
}
