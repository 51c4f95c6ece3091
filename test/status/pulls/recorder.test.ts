// The recorder of pulls: its rings, its totals, its last pulls, and that all of it is bounded.
import { expect, test } from 'vitest';
import { PullRecorder, PULLS_KEPT } from '../../../src/status/pulls/recorder.ts';
import type { Pull } from '../../../src/status/api/pulls.ts';

const NOON = new Date(2026, 10, 26, 12, 0, 0).getTime();
const MINUTE = 60_000;

function pull(given: Partial<Pull> = {}): Omit<Pull, 'id'> {
  return {
    at: new Date(NOON).toISOString(),
    method: 'GET',
    kind: 'blob',
    repository: 'group/app',
    reference: null,
    digest: 'sha256:00',
    origin: 'local',
    status: 200,
    bytes: 100,
    ms: 5,
    ttfbMs: 2,
    user: 'alice',
    client: 'docker/28.2',
    address: '192.0.2.7',
    cause: null,
    ...given,
  };
}

interface World {
  now: number;
  crossed: number;
}

function rig(): { world: World; recorder: PullRecorder } {
  const world = { now: NOON, crossed: 0 };
  return { world, recorder: new PullRecorder({ clock: () => world.now, wanBytes: () => world.crossed }) };
}

test('totals tell pulls by where they came from, errors apart, and what did not cross', () => {
  const { world, recorder } = rig();
  recorder.record(pull({ origin: 'memory', bytes: 10 }));
  recorder.record(pull({ origin: 'local', bytes: 200 }));
  recorder.record(pull({ origin: 'stale', bytes: 30 }));
  recorder.record(pull({ origin: 'primary', bytes: 1_000 }));
  recorder.record(pull({ origin: 'primary', bytes: 400 }), true);
  recorder.record(pull({ origin: null, status: 404, bytes: 77 }));
  world.crossed = 1_000;
  const { today, sinceStart } = recorder.totals();
  expect(today).toEqual(sinceStart);
  expect(today).toMatchObject({
    requests: 6,
    errors: 1,
    bytes: 1_640,
    wanBytes: 1_000,
    wanSavedBytes: 10 + 200 + 30 + 400,
    byOrigin: { primary: { requests: 2, bytes: 1_400 }, stale: { requests: 1, bytes: 30 } },
    hitRatioRequests: 1 - 2 / 5,
  });
  expect(today.hitRatioBytes).toBeCloseTo(240 / 1_640);
});

test('without a pull there are no ratios and no times', () => {
  const { recorder } = rig();
  expect(recorder.totals().today).toMatchObject({
    requests: 0,
    hitRatioRequests: null,
    hitRatioBytes: null,
    ttfbP50Ms: null,
    ttfbP99Ms: null,
  });
});

test('today ends at midnight, what is told since the start does not', () => {
  const { world, recorder } = rig();
  recorder.record(pull());
  world.crossed = 50;
  recorder.sample();
  world.now = NOON + 12 * 60 * MINUTE - 1;
  expect(recorder.totals().today).toMatchObject({ requests: 1, wanBytes: 50 });
  world.now += 1;
  expect(recorder.totals()).toMatchObject({
    today: { requests: 0, wanBytes: 0 },
    sinceStart: { requests: 1, wanBytes: 50 },
  });
});

test.each([
  { window: 'hour', steps: 60, step: MINUTE },
  { window: 'day', steps: 96, step: 15 * MINUTE },
] as const)('the last $window has no gaps, and lets go of what is older', ({ window, steps, step }) => {
  const { world, recorder } = rig();
  recorder.record(pull());
  world.now += 2 * step;
  world.crossed = 9;
  recorder.record(pull({ status: 503, origin: null }));
  const { stepMs, points } = recorder.traffic(window);
  expect(stepMs).toBe(step);
  expect(points.map(({ at }) => Date.parse(at))).toEqual(
    Array.from({ length: steps }, (_, index) => NOON + (3 - steps + index) * step),
  );
  expect(points.at(-3)).toMatchObject({ requests: { local: 1, error: 0 }, bytes: { local: 100 }, wanBytes: 0 });
  expect(points.at(-2)).toMatchObject({ requests: { local: 0, error: 0 }, ttfbP50Ms: null });
  expect(points.at(-1)).toMatchObject({ requests: { local: 0, error: 1 }, wanBytes: 9 });
  // The same places of the ring, one turn later.
  world.now += (steps - 2) * step;
  expect(recorder.traffic(window).points.some(({ requests }) => requests.local > 0)).toBe(false);
  expect(recorder.traffic(window).points.filter(({ requests }) => requests.error > 0)).toHaveLength(1);
});

test('percentiles are those of the times, as near as the buckets are', () => {
  const { recorder } = rig();
  for (let ms = 1; ms <= 100; ms += 1) recorder.record(pull({ ttfbMs: ms }));
  const { ttfbP50Ms, ttfbP99Ms } = recorder.totals().today;
  expect(ttfbP50Ms).toBeGreaterThanOrEqual(48);
  expect(ttfbP50Ms).toBeLessThanOrEqual(52);
  expect(ttfbP99Ms).toBeGreaterThanOrEqual(96);
  expect(ttfbP99Ms).toBeLessThanOrEqual(100);
  for (let count = 0; count < 1_000; count += 1) recorder.record(pull({ ttfbMs: 3_600_000 }));
  expect(recorder.totals().today.ttfbP99Ms).toBe(30_000);
});

test('the last pulls come newest first, and only those after a given one', () => {
  const { recorder } = rig();
  const told: number[] = [];
  const leave = recorder.onPull(({ id }) => told.push(id));
  for (let count = 0; count < PULLS_KEPT + 3; count += 1) recorder.record(pull());
  leave();
  recorder.record(pull());
  const all = recorder.recent(1_000);
  expect(all).toHaveLength(PULLS_KEPT);
  expect(all.map(({ id }) => id)).toEqual(Array.from({ length: PULLS_KEPT }, (_, index) => PULLS_KEPT + 4 - index));
  expect(recorder.recent(2).map(({ id }) => id)).toEqual([PULLS_KEPT + 4, PULLS_KEPT + 3]);
  expect(recorder.recent(100, PULLS_KEPT + 3).map(({ id }) => id)).toEqual([PULLS_KEPT + 4]);
  expect(recorder.recent(100, 9_999)).toEqual([]);
  expect(told).toHaveLength(PULLS_KEPT + 3);
});

test('a long text of a client is cut', () => {
  const { recorder } = rig();
  recorder.record(pull({ user: 'u'.repeat(5_000), cause: 'c'.repeat(5_000), client: 'docker/28.2' }));
  const [kept] = recorder.recent(1);
  expect(kept).toMatchObject({ client: 'docker/28.2', user: `${'u'.repeat(255)}…`, cause: `${'c'.repeat(255)}…` });
});

test.each([
  ['primary: UND_ERR_SOCKET', 'primary: the connection was closed'],
  ['secondary: ECONNREFUSED', 'secondary: connection refused'],
  ['primary: UND_ERR_HEADERS_TIMEOUT', 'primary: no answer in time'],
  ['primary: EUNKNOWN', 'primary: EUNKNOWN'],
  ['no such tag "v9" in group/app', 'no such tag "v9" in group/app'],
])('the cause %s is told as %s', (cause, words) => {
  const { recorder } = rig();
  recorder.record(pull({ cause }));
  expect(recorder.recent(1)).toMatchObject([{ cause: words }]);
});
