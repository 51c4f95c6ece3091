// The last call of the webhook, as the counters of the webhook tell it.
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import type { RowStore } from '../replication/rows.ts';
import { WRONG_TOKEN } from './judgement.ts';
import { isoTime } from './time.ts';

/** What is known of the webhook's calls. */
export interface WebhookCalls {
  readonly lastCallAt: string | null;
  /** `accepted`, or why not; null before the first call since the start. */
  readonly lastResult: string | null;
  /** Since the start. */
  readonly calls: number;
  readonly refused: number;
}

/** Watches the webhook. */
export interface WebhookWatch {
  /** The meter that the webhook is to report to. */
  readonly meter: Meter;
  readonly calls: WebhookCalls;
}

const RESULTS: Readonly<Record<string, string>> = {
  stored: 'accepted',
  refused: WRONG_TOKEN,
  unstored: 'unavailable: the events could not be stored',
  'broken-off': 'broken off by the primary',
};

/** A fact: when events were last stored (ms since the epoch); written once a minute at the most. */
const LAST_CALL = 'webhook.lastCall';
const WRITTEN_EVERY = 60_000;

/** Watches by `meter`, to which all goes on; what an earlier run knew is read from the rows. */
export async function createWebhookWatch(
  {
    meter,
    rows,
    log,
  }: { readonly meter: Meter; readonly rows: Pick<RowStore, 'getFact' | 'setFact'>; readonly log: Log },
  { clock = Date.now }: { readonly clock?: () => number } = {},
): Promise<WebhookWatch> {
  const before = await rows.getFact(LAST_CALL);
  let lastCallAt = typeof before === 'number' ? before : undefined;
  let lastResult: string | null = null;
  let [calls, refused, writtenAt] = [0, 0, -Infinity];

  function note(result: string): void {
    const now = clock();
    calls += 1;
    if (result === 'refused') refused += 1;
    lastCallAt = now;
    lastResult = RESULTS[result] ?? result;
    if (result !== 'stored' || now - writtenAt < WRITTEN_EVERY) return;
    writtenAt = now;
    rows.setFact(LAST_CALL, now).catch((error: unknown) => {
      log.debug({ reason: (error as Error).message }, 'the time of the last event could not be noted');
    });
  }

  return {
    meter(name, labels, by) {
      meter(name, labels, by);
      if (name === 'event_requests_total') note(labels?.['result'] ?? '');
      // Counted after the request that it came in.
      if (name === 'events_total' && labels?.['result'] === 'malformed') lastResult = 'accepted, with malformed events';
    },
    get calls() {
      return { lastCallAt: isoTime(lastCallAt), lastResult, calls, refused };
    },
  };
}
