// kill -9 of the program itself, at moments of its own choosing.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSqliteStore } from '../../src/replication/store/sqlite.ts';
import { blob } from '../support/content.ts';
import { image, manifest, mediaTypes } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import type { RelayRequest } from '../support/relay.ts';
import { createGate } from '../support/relay-rule.ts';
import type { Sites } from '../support/sites.ts';
import { waitFor } from '../support/tool.ts';
import { deleteTag, digestAt, tagsAt } from './rig.ts';
import { createServed, type Served } from './served.ts';
import { silent } from './store/silent.ts';
import { scaled } from '../support/patience.ts';

const PUSHES = 200;
const ROUNDS = 36;
// Every so many rounds the program is killed while a dummy stands on a tag, else at a moment of chance (ms from its start).
const AIMED = 6;
const LIVES_MAX = 2_500;
const PULLED = 'group/pulled';
const REMOVED = 'group/removed';
const repositories = [PULLED, 'group/a', 'group/b', 'group/c'];

/** The manifest that a pull through the proxy gives; undefined for any other answer. */
async function pulled({ url, sites }: Served, repository: string, reference: string): Promise<string | undefined> {
  const accept = Object.values(mediaTypes).join(', ');
  const headers = { accept, authorization: `Bearer ${sites.pullToken(repository)}` };
  try {
    const response = await fetch(`${url}/v2/${repository}/manifests/${reference}`, { headers });
    const text = await response.text();
    return response.status === 200 ? text : undefined;
  } catch {
    // It was killed.
    return undefined;
  }
}

/** Blobs that were asked for at the primary although the secondary had said that it has them. */
function watchWan({ relay, localRelay }: Sites): string[] {
  const again: string[] = [];
  relay.rules.push({
    match: ({ method, path }) => {
      const digest = /\/blobs\/(sha256:[0-9a-f]{64})$/.exec(path)?.[1];
      if (method !== 'GET' || digest === undefined) return false;
      const isOfIt = (other: string): boolean => decodeURIComponent(other).includes(`digest=${digest}`);
      if (localRelay.count((one) => one.method === 'PUT' && one.status === 201 && isOfIt(one.path)) > 0) {
        again.push(path);
      }
      return false;
    },
  });
  return again;
}

async function rowStates(dataDir: string): Promise<Record<string, number>> {
  const rows = await createSqliteStore({ file: join(dataDir, 'state.db'), log: silent });
  try {
    const { states, held } = await rows.counts(Date.now());
    return { ...states, held, dummies: (await rows.dummies()).length };
  } finally {
    await rows.close();
  }
}

async function tagsOf(sites: Sites, side: 'primary' | 'secondary'): Promise<Record<string, string | undefined>> {
  const found: Record<string, string | undefined> = {};
  for (const repository of [...repositories, REMOVED]) {
    const target = side === 'primary' ? sites.primaryTarget(repository) : sites.secondaryTarget(repository);
    for (const tag of await tagsAt(target)) found[`${repository}:${tag}`] = await digestAt(target, tag);
  }
  return found;
}

test(
  'killed again and again during pushes and deletions it loses nothing, and sends nothing twice',
  async () => {
    await using served = await createServed({ GEO_RECONCILE_INTERVAL: '2s', GEO_REMOVAL_LIMIT: '100%' });
    const { sites } = served;
    const sentAgain = watchWan(sites);
    const base = blob(60_000, 'base');
    // What clients pull is of one repository: a miss brings its blobs, wherever else they are.
    const pulledBase = blob(60_000, 'base of what is pulled');
    let [pushed, allowed] = [0, 0];

    async function push(): Promise<void> {
      for (; pushed < PUSHES; pushed += 1) {
        await waitFor(() => pushed < allowed, { what: 'the round of this push', timeout: 60_000 });
        const repository = repositories[pushed % repositories.length]!;
        const target = sites.primaryTarget(repository);
        const layers = [repository === PULLED ? pulledBase : base, blob(8_000, `own ${pushed}`)];
        await pushImage(target, `v${pushed}`, manifest({ layers }));
        // Of an earlier one of this repository, which may be in the secondary by now.
        if (pushed % 5 === 3 && pushed >= 8) await deleteTag(target, `v${pushed - 8}`);
      }
    }

    const manifests: string[] = [];
    async function pull(): Promise<void> {
      const nth = Math.floor((Math.random() * pushed) / repositories.length) * repositories.length;
      const text = await pulled(served, PULLED, `v${nth}`);
      if (text !== undefined) manifests.push(text);
    }

    /** Pulls until the program is killed at a moment of chance, which may be one of its start. */
    async function killSometime(isUp: boolean): Promise<void> {
      if (isUp) await served.untilUp();
      const killAt = Date.now() + Math.random() * LIVES_MAX;
      while (Date.now() < killAt) await pull();
      await served.kill();
    }

    /** Lets it go on until a dummy stands on a tag whose siblings stay, and is to be deleted. */
    async function killOverDummy(tag: string): Promise<void> {
      const gate = createGate();
      const rule = { match: ({ method, path }: RelayRequest) => method === 'DELETE' && path.includes(REMOVED), gate };
      sites.localRelay.rules.push(rule);
      await deleteTag(sites.primaryTarget(REMOVED), tag);
      await waitFor(() => gate.arrived > 0, { what: `the dummy on ${tag} to be deleted`, timeout: 60_000 });
      await served.kill();
      sites.localRelay.rules.splice(sites.localRelay.rules.indexOf(rule), 1);
    }

    const doomed = Array.from({ length: ROUNDS / AIMED }, (_, nth) => `doomed-${nth + 1}`);
    for (const tag of ['stays', ...doomed]) {
      await pushImage(sites.primaryTarget(REMOVED), tag, manifest({ layers: [base] }));
    }
    await served.start();
    await waitFor(async () => (await tagsAt(sites.secondaryTarget(REMOVED))).length === doomed.length + 1, {
      what: 'the tags that are to go to be here',
      timeout: 30_000,
    });
    await served.kill();

    const pushing = push();
    for (let round = 1; round <= ROUNDS; round += 1) {
      allowed = Math.ceil((PUSHES * round) / ROUNDS);
      served.launch();
      await (round % AIMED === 0 ? killOverDummy(doomed[round / AIMED - 1]!) : killSometime(round % 2 === 0));
    }
    await pushing;
    await served.start();
    const expected = await tagsOf(sites, 'primary');
    expect(Object.keys(expected).filter((tag) => tag.startsWith(REMOVED))).toEqual([`${REMOVED}:stays`]);
    await waitFor(
      async () => {
        expect(await tagsOf(sites, 'secondary')).toEqual(expected);
        return true;
      },
      { what: 'the secondary to be as the primary', timeout: 60_000 },
    );
    const isDone = async (): Promise<boolean> => {
      const { synced, ...others } = await rowStates(sites.dataDir);
      return synced !== undefined && Object.values(others).every((count) => count === 0);
    };
    await waitFor(isDone, { what: 'no row to hang', timeout: 60_000 });
    expect(sentAgain).toEqual([]);
    expect(manifests.length).toBeGreaterThan(0);
    expect(manifests.filter((text) => text.includes('geo-registry-proxy.removal'))).toEqual([]);
  },
  scaled(240_000),
);

test(
  'killed between the PUT of a dummy and its DELETE it serves no dummy, and the next start ends the removal',
  async () => {
    await using served = await createServed();
    const { sites } = served;
    const { digest, bytes } = image('dummy', { layers: 1 });
    const repository = 'group/a';
    const target = sites.primaryTarget(repository);
    for (const tag of ['v1', 'v2']) await pushImage(target, tag, image('dummy', { layers: 1 }));
    await served.start();
    for (const tag of ['v1', 'v2']) {
      await waitFor(async () => (await digestAt(sites.secondaryTarget(repository), tag)) === digest, {
        what: `${tag} in the secondary`,
      });
    }
    const gate = createGate();
    sites.localRelay.rules.push({
      match: ({ method, path, nth }) => method === 'DELETE' && path.includes('sha256:') && nth === 2,
      gate,
    });
    await deleteTag(target, 'v1');
    await waitFor(() => gate.arrived === 1, { what: 'the DELETE of the dummy' });
    const dummy = (await digestAt(sites.secondaryTarget(repository), 'v1'))!;
    expect(dummy).not.toBe(digest);
    expect(await pulled(served, repository, dummy)).toBeUndefined();
    await served.kill();

    // The secondary takes no deletion yet, and the primary is gone: the local copy would be the answer.
    sites.localRelay.rules.length = 0;
    sites.localRelay.rules.push({ match: ({ method }) => method === 'DELETE', answer: { status: 500 } });
    await sites.relay.down();
    await served.start();
    expect(await digestAt(sites.secondaryTarget(repository), 'v1')).toBe(dummy);
    expect(await pulled(served, repository, 'v1')).toBeUndefined();
    expect(await pulled(served, repository, dummy)).toBeUndefined();
    expect(await pulled(served, repository, 'v2')).toBe(bytes.toString());
    await served.kill();

    sites.localRelay.rules.length = 0;
    await sites.relay.up();
    await served.start();
    await waitFor(async () => (await tagsAt(sites.secondaryTarget(repository))).join() === 'v2', { what: 'v1 to go' });
    expect(await digestAt(sites.secondaryTarget(repository), 'v2')).toBe(digest);
    expect(await digestAt(sites.secondaryTarget(repository), dummy)).toBeUndefined();
    await waitFor(async () => (await rowStates(sites.dataDir))['dummies'] === 0, { what: 'no dummy to be known' });
  },
  scaled(60_000),
);
