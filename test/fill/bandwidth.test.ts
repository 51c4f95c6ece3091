// R8: background transfers wait for their share of the link; clients do not.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createBudget, type Budget } from '../../src/lib/budget.ts';
import { blob, digestOf as digestOfBytes, type Blob } from '../support/content.ts';
import { pushBlob } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf } from './download.ts';
import { createRig, digestOf, startRigSites, type Rig, type RigSites } from './rig.ts';
import { scaled } from '../support/patience.ts';

const MiB = 1024 * 1024;

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterEach(() => {
  sites.relay.reset();
  sites.localRelay.reset();
});
afterAll(() => sites.close());

async function pushed(seed: string, size: number): Promise<Blob> {
  const content = blob(size, seed);
  await pushBlob(sites.primaryTarget('r8/app'), content);
  return content;
}

/** A budget in which whoever has to wait waits for ever, unless it is raised; `waits` are those who began to. */
function nothingLeft(): { budget: Budget; readonly waits: number } {
  let waits = 0;
  const budget = createBudget(1, {
    clock: () => 0,
    sleep: (_time, signal) => {
      waits += 1;
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('woken'))));
    },
  });
  return {
    budget,
    get waits() {
      return waits;
    },
  };
}

async function readAll(rig: Rig, content: Blob): Promise<string> {
  const answer = await rig.filler.open('r8/app', digestOf(content), 'on-demand');
  if (answer.kind !== 'found') throw new Error(answer.kind);
  const stream = rig.filler.read('r8/app', answer.value);
  await answer.value.release();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return digestOfBytes(Buffer.concat(chunks));
}

const spooled = { spoolMax: 2 ** 30 };
const past = { spoolMax: 1_000 };

test.each([
  ['through the spool', spooled],
  ['past the spool', past],
])('a background transfer %s waits for its share, and a client’s beside it does not', async (_how, { spoolMax }) => {
  const limit = nothingLeft();
  await using rig = await createRig(sites, { budget: limit.budget, spoolMax });
  const [large, other] = [await pushed(`waits ${spoolMax}`, 32 * MiB), await pushed(`beside ${spoolMax}`, 3 * MiB)];
  let isFilled = false;
  void rig.filler.fill('r8/app', digestOf(large), 'background').then(() => (isFilled = true));
  await waitFor(() => limit.waits > 0, { what: 'the background transfer to wait' });
  expect(await readAll(rig, other)).toBe(other.digest);
  expect(isFilled).toBe(false);
  // It does not read and keep what it may not take: the connection itself stands still.
  expect(sites.relay.bodyBytes(bodyOf(large))).toBeLessThan(large.size);
  expect(sites.relay.count(bodyOf(large))).toBeLessThanOrEqual(4);
});

test('a client that joins a waiting background transfer gets all of it at once, by the same transfer', async () => {
  const limit = nothingLeft();
  await using rig = await createRig(sites, { budget: limit.budget });
  const content = await pushed('joined', 3 * MiB);
  const filled = rig.filler.fill('r8/app', digestOf(content), 'background');
  await waitFor(() => limit.waits > 0, { what: 'the background transfer to wait' });
  expect(await readAll(rig, content)).toBe(content.digest);
  expect(await filled).toMatchObject({ kind: 'found' });
  expect(sites.relay.bodyBytes(bodyOf(content))).toBe(content.size);
});

test('the wait is no trouble of the primary: the transfer goes on where it was, by the same request', async () => {
  // Longer than a body may stand still, and than the primary is tried again.
  const budget = createBudget(1024, {
    clock: () => 0,
    sleep: (_time, signal) => delay(scaled(3_000), undefined, { signal: signal! }),
  });
  let waits = 0;
  const once: Budget = {
    ...budget,
    spend: (...given) => (given[1] > 0 && (waits += 1) === 1 ? budget.spend(...given) : Promise.resolve()),
  };
  await using rig = await createRig(sites, { budget: once, bodyTimeout: scaled(500), filler: { patience: 0 } });
  const content = await pushed('waits for long', 24 * MiB);
  expect(await rig.filler.fill('r8/app', digestOf(content), 'background')).toMatchObject({ kind: 'found' });
  expect(waits).toBeGreaterThan(1);
  expect(rig.count('flight_resumes_total')).toBe(0);
  expect(sites.relay.bodyBytes(bodyOf(content))).toBe(content.size);
});

test('a stop does not wait for the share of a transfer', async () => {
  const limit = nothingLeft();
  const rig = await createRig(sites, { budget: limit.budget });
  const content = await pushed('stopped', 3 * MiB);
  const filled = rig.filler.fill('r8/app', digestOf(content), 'background');
  await waitFor(() => limit.waits > 0, { what: 'the background transfer to wait' });
  await rig[Symbol.asyncDispose]();
  expect(await filled).toMatchObject({ kind: 'unavailable' });
});
