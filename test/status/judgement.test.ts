// The judgement: never ok over what needs a person, and root causes first.
import { expect, test } from 'vitest';
import { UNASKED } from '../../src/status/health.ts';
import { judge, needsAttention, type Judged } from '../../src/status/judgement.ts';
import { problem } from '../../src/status/problem.ts';

const well: Judged = {
  replication: {
    on: true,
    tags: { pending: 0, syncing: 0, synced: 5, recheck: 1, failed: 0, unsupported: 0 },
    removals: { held: 0, lastDay: 0, limit: 10, suspended: false, suspension: null },
    runs: { backfill: null, reconcile: null, verify: null },
    malformedEvents: 0,
  } as unknown as Judged['replication'],
  damaged: 0,
  webhook: { on: true, path: '/', lastCallAt: '2026-01-01T00:00:00Z', lastResult: 'accepted', calls: 1, refused: 0 },
  spool: { bytes: 1, max: 100, diskFreeBytes: null },
  breakers: { primary: 'closed', secondary: 'closed' },
  uptimeMs: 3_600_000,
  hasClientAuth: true,
};

function withReplication(change: object): Judged {
  return { ...well, replication: { ...well.replication, ...change } };
}

const tags = (change: object): Judged => withReplication({ tags: { ...well.replication.tags, ...change } });

test('a site where all is well is ok', () => {
  expect(judge(UNASKED, well)).toEqual({ status: 'ok', reasons: [], problems: [] });
});

test.each<[string, Judged]>([
  ['failed', tags({ failed: 3 })],
  ['unsupported', tags({ unsupported: 1 })],
  ['damaged', { ...well, damaged: 2 }],
  ['held', withReplication({ removals: { ...well.replication.removals, held: 1 } })],
  [
    'removals-suspended',
    withReplication({
      removals: { ...well.replication.removals, suspension: { because: 'other primary', isCompared: false } },
    }),
  ],
  ['run-failed', withReplication({ runs: { backfill: { error: 'no catalog' }, reconcile: null, verify: null } })],
  ['breaker-open', { ...well, breakers: { primary: 'open', secondary: 'closed' } }],
  ['webhook-never-called', { ...well, webhook: { ...well.webhook!, lastCallAt: null } }],
  ['webhook-refused', { ...well, webhook: { ...well.webhook!, lastResult: 'refused (wrong token)' } }],
  ['spool-full', { ...well, spool: { bytes: 99, max: 100, diskFreeBytes: null } }],
])('%s is never ok', (code, given) => {
  const judgement = judge(UNASKED, given);
  expect(judgement).toMatchObject({ status: 'degraded', problems: [{ code }], reasons: [judgement.problems[0]!.text] });
  expect(needsAttention(judgement)).toBe(true);
});

test.each<[string, Judged]>([
  ['replication-off', withReplication({ on: false })],
  ['no-client-auth', { ...well, hasClientAuth: false }],
  ['malformed-events', withReplication({ malformedEvents: 2 })],
])('%s is worth knowing, and no fault', (code, given) => {
  const judgement = judge(UNASKED, given);
  expect(judgement).toMatchObject({ status: 'ok', reasons: [], problems: [{ code, severity: 'info' }] });
  expect(needsAttention(judgement)).toBe(false);
});

test('a webhook has its time to be called, and is not waited for where replication is off', () => {
  const silent = { ...well, webhook: { ...well.webhook!, lastCallAt: null } };
  expect(judge(UNASKED, { ...silent, uptimeMs: 60_000 }).status).toBe('ok');
  expect(judge(UNASKED, { ...silent, replication: { ...silent.replication, on: false } }).status).toBe('ok');
});

test('root causes come first, a registry is told of once, and what is wrong is told of a stopped process, too', () => {
  const problems = [problem('unreachable', 'the primary registry cannot be reached', { registry: 'primary' })];
  const given: Judged = { ...tags({ failed: 1 }), breakers: { primary: 'open', secondary: 'closed' } };
  const { problems: told } = judge({ ...UNASKED, problems }, given);
  expect(told.map(({ code }) => code)).toEqual(['unreachable', 'failed']);
  expect(judge(undefined, tags({ failed: 1 }))).toMatchObject({
    status: 'stopped',
    reasons: ['no process of the proxy answers', '1 image fails to replicate'],
  });
});
