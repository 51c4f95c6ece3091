// A question whose askers have left may still be answered: by then others may have asked anew.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { CallerLeft, type Caller } from '../../src/lib/claim.ts';
import { blob } from '../support/content.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf } from './download.ts';
import { createRig, digestOf, startRigSites, type RigSites } from './rig.ts';

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterEach(() => sites.relay.reset());
afterAll(() => sites.close());

/** A caller that leaves when it is told to. */
function leavingCaller(share: string): Caller & { leave(): void } {
  const acts = new Set<() => void>();
  let hasLeft = false;
  return {
    share,
    get hasLeft() {
      return hasLeft;
    },
    onLeave(act) {
      acts.add(act);
      return () => void acts.delete(act);
    },
    leave() {
      hasLeft = true;
      for (const act of acts) act();
    },
  };
}

test('begins no second transfer beside theirs, and leaves nothing in the spool', async () => {
  await using rig = await createRig(sites, { filler: { linger: 10 } });
  const layer = blob(300_000, 'left question');
  await pushBlob(sites.primaryTarget('left/one'), layer);
  const first = createGate();
  const second = createGate();
  sites.relay.rules.push({ match: bodyOf(layer), times: 1, gate: first });
  sites.relay.rules.push({ match: bodyOf(layer), gate: second });

  const one = leavingCaller('one');
  const left = rig.filler.open('left/one', digestOf(layer), 'on-demand', one);
  await waitFor(() => first.arrived === 1, { what: 'the first question' });
  one.leave();
  await expect(left).rejects.toBeInstanceOf(CallerLeft);
  const asked = rig.filler.open('left/one', digestOf(layer), 'on-demand', leavingCaller('two'));
  await waitFor(() => second.arrived === 1, { what: 'the second question' });
  // Its answer comes although nobody waits for it.
  first.open();
  await waitFor(() => sites.relay.requests[0]?.state !== 'open', { what: 'the end of the first' });
  second.open();

  const answer = await asked;
  expect(answer.kind).toBe('found');
  if (answer.kind !== 'found') return;
  await answer.value.ended;
  await answer.value.release();
  await waitFor(() => rig.spool.used === 0, { what: 'an empty spool' });
  expect(rig.count('flights_total')).toBe(1);
});
