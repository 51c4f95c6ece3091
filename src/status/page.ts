// The status page: one HTML document without scripts, forms or anything from elsewhere.
import { createHash } from 'node:crypto';
import { bytesText, countText, durationText } from './figures.ts';
import { html, Html } from './html.ts';
import {
  damagedSection,
  failedRepositoriesSection,
  failedSection,
  heldSection,
  malformedSection,
  troubleSection,
  unsupportedSection,
  waitingSection,
  type PageData,
} from './page-attention.ts';
import { fact, table, time } from './page-parts.ts';
import { PAGE_STYLE } from './page-style.ts';
import type { Run, Snapshot, VerifyRun } from './snapshot.ts';

// As it stands here: one blank more, and its hash were another.
const STYLE = new Html(`<style>${PAGE_STYLE}</style>`);

const styleHash = createHash('sha256').update(PAGE_STYLE).digest('base64');

/** The page's Content-Security-Policy: its own style sheet, and nothing else at all. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

// Seconds after which a browser asks again.
const REFRESH = 30;

const STATUS_LOOK = { ok: 'good', degraded: 'warn' } as const;

/** The rows by state as one bar of 1,000 units; a state that has rows is never too thin to be seen. */
function share(tags: Snapshot['replication']['tags']): Html {
  const parts = [
    { count: tags.synced, look: 'good' },
    { count: tags.syncing, look: 'busy' },
    { count: tags.pending, look: 'wait' },
    { count: tags.unsupported, look: 'warn' },
    { count: tags.failed, look: 'bad' },
  ].filter(({ count }) => count > 0);
  const all = parts.reduce((sum, { count }) => sum + count, 0);
  const widths = parts.map(({ count }) => Math.max(6, (count / all) * 1000));
  const scale = 1000 / widths.reduce((sum, width) => sum + width, 0);
  let x = 0;
  const bars = parts.map(({ look }, index) => {
    const width = widths[index]! * scale;
    const bar = html`<rect class="${look}" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="10" />`;
    x += width;
    return bar;
  });
  return html`<svg class="share" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">${bars}</svg>`;
}

function replicationSection({ replication, damaged }: Snapshot): Html {
  const { tags, lagMs, bytes, removals } = replication;
  return html`<section>
    <h2>Tags and manifests</h2>
    ${share(tags)}
    <dl>
      ${[
        fact('synced', countText(tags.synced), 'good'),
        fact('pending', countText(tags.pending)),
        fact('syncing', countText(tags.syncing), tags.syncing > 0 && 'busy'),
        fact('failed', countText(tags.failed), tags.failed > 0 && 'bad'),
        fact('unsupported', countText(tags.unsupported), tags.unsupported > 0 && 'warn'),
        fact('damaged blobs', countText(damaged), damaged > 0 && 'bad'),
        fact('lag', lagMs === 0 ? 'none' : durationText(lagMs)),
        fact('brought over', bytesText(bytes)),
        fact('removals, 24 h', countText(removals.lastDay), false, `limit ${countText(removals.limit)}`),
      ]}
    </dl>
  </section>`;
}

function runRow(kind: string, run: Run | null, now: number): Html {
  if (!run)
    return html`<tr>
      <td class="name">${kind}</td>
      <td class="dim" colspan="5">not since the start</td>
    </tr>`;
  const { startedAt, endedAt, repositories, repositoriesDone, repositoriesFailed, tags, marked, error } = run;
  const failed = repositoriesFailed > 0 && `, ${countText(repositoriesFailed)} failed`;
  const ended = endedAt === null ? 'it runs' : time(endedAt, now);
  return html`<tr>
    <td class="name">${kind}</td>
    <td data-name="began">${time(startedAt, now)}</td>
    <td data-name="ended">${ended}</td>
    <td data-name="repositories">${countText(repositoriesDone)} of ${countText(repositories)}${failed}</td>
    <td data-name="tags">${countText(tags)}, ${countText(marked)} marked</td>
    <td class="reason"><bdi>${error ?? ''}</bdi></td>
  </tr>`;
}

function verifyRow(run: VerifyRun | null, now: number): Html {
  if (!run)
    return html`<tr>
      <td class="name">verification</td>
      <td class="dim" colspan="5">not since the start</td>
    </tr>`;
  const { startedAt, endedAt, repositories, rows, marked, unknown, bytes, damaged, error } = run;
  const wrong = [
    damaged > 0 && `, ${countText(damaged)} damaged`,
    unknown > 0 && `, ${countText(unknown)} not known`,
    `; ${bytesText(bytes)} read`,
  ];
  return html`<tr>
    <td class="name">verification</td>
    <td data-name="began">${time(startedAt, now)}</td>
    <td data-name="ended">${endedAt === null ? 'it runs' : time(endedAt, now)}</td>
    <td data-name="repositories">${countText(repositories)}</td>
    <td data-name="tags">${countText(rows)}, ${countText(marked)} marked${wrong}</td>
    <td class="reason"><bdi>${error ?? ''}</bdi></td>
  </tr>`;
}

function workSection({ snapshot, now }: PageData): Html {
  const { on, queue, worker, runs } = snapshot.replication;
  const state = on ? `${countText(worker.running)} worked on now` : 'off: only what clients pull is stored';
  return html`<section>
    <h2>Waiting <span class="dim">${state}</span></h2>
    <dl>
      ${[
        fact('asked by clients', countText(queue.onDemand)),
        fact('by events', countText(queue.event)),
        fact('by comparison', countText(queue.reconcile)),
        fact('by backfill', countText(queue.backfill)),
      ]}
    </dl>
    ${table(
      ['walk', 'began', 'ended', 'repositories', 'tags', ''],
      [runRow('backfill', runs.backfill, now), runRow('comparison', runs.reconcile, now), verifyRow(runs.verify, now)],
    )}
  </section>`;
}

function breakerFact(term: string, breaker: 'open' | 'closed' | undefined): Html {
  return breaker === 'open' ? fact(term, 'taken for down', 'bad') : fact(term, 'in use', 'good');
}

function siteSection({ breakers, spoolBytes }: Snapshot): Html {
  return html`<section>
    <h2>Site</h2>
    <dl>
      ${[
        breakerFact('primary registry', breakers?.primary),
        breakerFact('local registry', breakers?.secondary),
        fact('spool', bytesText(spoolBytes ?? 0)),
      ]}
    </dl>
  </section>`;
}

/** The page as a whole document. */
export function renderPage(data: PageData): string {
  const { snapshot, now } = data;
  const { site, status, version, uptimeMs } = snapshot;
  const look = STATUS_LOOK[status as keyof typeof STATUS_LOOK] ?? 'bad';
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>${site}: ${status}</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="refresh" content="${REFRESH}" />
        ${STYLE}
      </head>
      <body>
        <main>
          <header>
            <h1>${site}</h1>
            <span class="badge ${look}">${status}</span>
            <p>geo-registry-proxy ${version}, up ${durationText(uptimeMs ?? 0)}; ${new Date(now).toUTCString()}</p>
          </header>
          ${[
            troubleSection(data),
            replicationSection(snapshot),
            heldSection(data),
            failedSection(data),
            failedRepositoriesSection(data),
            unsupportedSection(data),
            waitingSection(data),
            damagedSection(data),
            malformedSection(data),
            workSection(data),
            siteSection(snapshot),
          ]}
          <footer>
            <a href="/api/status">status as JSON</a> · <a href="/api/replication">tags and manifests</a> ·
            <a href="/api/replication/repositories">repositories</a> · <a href="/metrics">metrics</a>
          </footer>
        </main>
      </body>
    </html> `.text;
}
