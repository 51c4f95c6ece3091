// The circuit breaker: what opens it, what does not, and that it always closes again.
import { afterEach, expect, test } from 'vitest';
import { RegistryOutage } from '../../src/registry/answer.ts';
import { Breaker } from '../../src/registry/breaker.ts';
import { waitFor } from '../support/tool.ts';

interface Bench {
  readonly breaker: Breaker;
  readonly changes: boolean[];
  probe: () => Promise<void>;
  probes: number;
}

const benches: Bench[] = [];
afterEach(() => {
  for (const { breaker } of benches.splice(0)) breaker.stop();
});

const late = (): Promise<never> =>
  Promise.reject(new RegistryOutage('primary', 'no answer', undefined, { isTimeout: true }));
const outage = (): Promise<never> => Promise.reject(new RegistryOutage('primary', 'no answer'));

function bench(probe: () => Promise<void> = outage): Bench {
  const changes: boolean[] = [];
  const made: Bench = {
    breaker: new Breaker(
      {
        registry: 'primary',
        probe: () => {
          made.probes += 1;
          return made.probe();
        },
        onChange: (open) => changes.push(open),
      },
      { threshold: 3, probeAfter: 5, probeAfterMax: 10 },
    ),
    changes,
    probe,
    probes: 0,
  };
  benches.push(made);
  return made;
}

async function fail({ breaker }: Bench, times: number): Promise<void> {
  for (let nth = 0; nth < times; nth += 1) await breaker.run(outage).catch(() => undefined);
}

test('outages in a row open it, and calls are refused at once', async () => {
  const made = bench();
  await fail(made, 2);
  expect(made.breaker.isOpen).toBe(false);
  await fail(made, 1);
  expect(made.breaker.isOpen).toBe(true);
  let called = false;
  await expect(made.breaker.run(async () => (called = true))).rejects.toThrow('circuit breaker open');
  expect(called).toBe(false);
  expect(made.changes).toEqual([true]);
});

test('an answer in between, whatever it says, starts the count again', async () => {
  const made = bench();
  await fail(made, 2);
  await made.breaker.run(async () => 'status 500');
  await fail(made, 2);
  expect(made.breaker.isOpen).toBe(false);
});

test('errors that are no outage, and outages of our own making, do not count', async () => {
  const made = bench();
  for (let nth = 0; nth < 5; nth += 1) {
    await made.breaker.run(() => Promise.reject(new Error('client gone'))).catch(() => undefined);
    const ours = new RegistryOutage('primary', 'no free connection', undefined, { counts: false });
    await expect(made.breaker.run(() => Promise.reject(ours))).rejects.toBe(ours);
  }
  expect(made.breaker.isOpen).toBe(false);
});

test('it probes until the registry is back, and then closes', async () => {
  const made = bench();
  await fail(made, 3);
  await waitFor(() => made.probes >= 3, { what: 'three probes' });
  expect(made.breaker.isOpen).toBe(true);
  made.probe = () => Promise.resolve();
  await waitFor(() => !made.breaker.isOpen, { what: 'the breaker to close' });
  expect(made.changes).toEqual([true, false]);
  expect(await made.breaker.run(async () => 'answer')).toBe('answer');
});

test('a call from before the outage that ends during the probe keeps it neither open nor closed', async () => {
  const answer = Promise.withResolvers<void>();
  const made = bench(() => answer.promise);
  const old = Promise.withResolvers<never>();
  const early = made.breaker.run(() => old.promise).catch(() => 'failed');
  await fail(made, 3);
  await waitFor(() => made.probes === 1, { what: 'the probe' });
  old.reject(new RegistryOutage('primary', 'no answer'));
  await early;
  answer.resolve();
  await waitFor(() => !made.breaker.isOpen, { what: 'the breaker to close' });
});

test('calls from before an outage that end after it do not open the breaker again', async () => {
  const made = bench(() => Promise.resolve());
  const old = Promise.withResolvers<never>();
  const early = [1, 2, 3, 4].map(() => made.breaker.run(() => old.promise).catch(() => 'failed'));
  await fail(made, 3);
  await waitFor(() => !made.breaker.isOpen, { what: 'the breaker to close' });
  old.reject(new RegistryOutage('primary', 'no answer'));
  await Promise.all(early);
  expect(made.breaker.isOpen).toBe(false);
});

test('it opens a second time as it did the first', async () => {
  const made = bench(() => Promise.resolve());
  await fail(made, 3);
  await waitFor(() => !made.breaker.isOpen, { what: 'the breaker to close' });
  await fail(made, 3);
  await waitFor(() => made.changes.length === 4, { what: 'the breaker to open and close again' });
  expect(made.changes).toEqual([true, false, true, false]);
});

test('a time-out has the registry probed at once, and the breaker opens where the probe fails', async () => {
  const answer = Promise.withResolvers<void>();
  const made = bench(() => answer.promise);
  await made.breaker.run(late).catch(() => undefined);
  expect({ probes: made.probes, isOpen: made.breaker.isOpen }).toEqual({ probes: 1, isOpen: false });
  // Others that come late meanwhile change nothing.
  for (let times = 0; times < 5; times += 1) await made.breaker.run(late).catch(() => undefined);
  expect({ probes: made.probes, isOpen: made.breaker.isOpen }).toEqual({ probes: 1, isOpen: false });
  answer.reject(new Error('no answer'));
  await waitFor(() => made.breaker.isOpen, { what: 'the breaker to open' });
  made.probe = () => Promise.resolve();
  await waitFor(() => !made.breaker.isOpen, { what: 'the breaker to close' });
  expect(made.changes).toEqual([true, false]);
});

test('a time-out whose probe is answered counts for nothing', async () => {
  const made = bench(() => Promise.resolve());
  for (let times = 0; times < 10; times += 1) await made.breaker.run(late).catch(() => undefined);
  await fail(made, 2);
  expect(made.breaker.isOpen).toBe(false);
});

test.each([
  ['a GET', { late: false, answered: false, isOpen: false }],
  ['a HEAD, where a GET was late,', { late: false, answered: true, isOpen: true }],
  ['a HEAD, where a HEAD was late,', { late: true, answered: true, isOpen: false }],
  ['a GET, where a HEAD was late,', { late: true, answered: false, isOpen: false }],
])('the answer to %s during a probe that fails', async (_what, { late: lateHead, answered, isOpen }) => {
  const answer = Promise.withResolvers<void>();
  const made = bench(() => answer.promise);
  await made.breaker.run(late, { isHead: lateHead }).catch(() => undefined);
  await made.breaker.run(async () => 'answer', { isHead: answered });
  answer.reject(new Error('no answer'));
  await new Promise(setImmediate);
  expect(made.breaker.isOpen).toBe(isOpen);
});
