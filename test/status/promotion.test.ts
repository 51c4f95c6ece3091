// Whether a secondary is whole: each reason by itself.
import { expect, test } from 'vitest';
import { promotionOf } from '../../src/status/promotion.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const ago = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();
const run = { startedAt: ago(9), endedAt: ago(8), error: null, repositoriesFailed: 0 };
const up = { up: true, since: ago(60), cause: null };

const whole = {
  replication: {
    on: true,
    tags: { pending: 0, syncing: 0, recheck: 0, synced: 7, failed: 0, unsupported: 0 },
    lagMs: 0,
    removals: { held: 0, suspended: false },
    runs: { backfill: run, reconcile: null, verify: run },
  },
  damaged: 0,
  spoolBytes: 0,
  webhook: { lastCallAt: ago(5) },
  registries: { primary: up, secondary: up },
};

/** A snapshot as if it were whole but for these. */
function told(more: object = {}, replication: object = {}): ReturnType<typeof promotionOf> {
  const snapshot = { ...whole, ...more, replication: { ...whole.replication, ...replication } };
  return promotionOf(snapshot as unknown as Snapshot, NOW);
}

test('a whole one may be promoted', () => {
  const { promotable, checks } = told();
  expect(promotable).toBe(true);
  expect(checks.filter(({ verdict }) => verdict !== 'ok').map(({ check }) => check)).toEqual(['primary']);
});

const states = (more: object): object => ({ tags: { ...whole.replication.tags, ...more } });

test.each([
  ['tags', /^2 images not compared or copied yet$/, {}, states({ pending: 1, recheck: 1 })],
  ['tags', /^1 image fails to replicate$/, {}, states({ failed: 1 })],
  ['tags', /^3 images are not taken by the secondary$/, {}, states({ unsupported: 3 })],
  ['lag', /is not worked off$/, {}, { lagMs: 90_000 }],
  ['damaged', /^1 blob of the secondary is damaged$/, { damaged: 1 }, {}],
  ['removals', /^2 removals wait/, {}, { removals: { held: 2, suspended: false } }],
  ['removals', /^removals are suspended/, {}, { removals: { held: 0, suspended: true } }],
  ['compared', /is not whole$/, {}, { runs: { ...whole.replication.runs, backfill: { ...run, error: 'no catalog' } } }],
  ['secondary', /is down: gone$/, { registries: { primary: up, secondary: { ...up, up: false, cause: 'gone' } } }, {}],
])('%s: %s is a reason against it', (name, text, more, replication) => {
  const { promotable, checks } = told(more, replication);
  expect(promotable).toBe(false);
  const found = checks.filter(({ verdict }) => verdict === 'no');
  expect(found).toMatchObject([{ check: name, text: expect.stringMatching(text), advice: expect.any(String) }]);
});

test.each([
  ['replication', {}, { on: false }],
  ['compared', {}, { runs: { backfill: null, reconcile: null, verify: null } }],
  ['secondary', { registries: null }, {}],
])('%s: what is not known is told as such', (name, more, replication) => {
  const { promotable, checks } = told(more, replication);
  expect(promotable).toBeNull();
  expect(checks.filter(({ verdict }) => verdict === 'unknown').map(({ check }) => check)).toEqual([name]);
});

test('a primary that is down is no reason against it; what cannot be known is told', () => {
  const down = { ...up, up: false, cause: 'connection refused', since: ago(3) };
  const { promotable, checks } = told({ registries: { primary: down, secondary: up } });
  expect(promotable).toBe(true);
  expect(checks.find(({ check }) => check === 'primary')?.text).toMatch(
    /^the primary is down \(3 min ago\); its last event came 5 min ago: what was pushed after that is not known$/,
  );
});

test('the later of two comparisons counts', () => {
  const runs = { backfill: { ...run, error: 'no catalog', endedAt: ago(50) }, reconcile: run, verify: run };
  expect(told({}, { runs }).promotable).toBe(true);
});
