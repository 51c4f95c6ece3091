// Another replicator at the same secondary.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { deleteTag } from '../replication/rig.ts';
import { image } from '../support/image.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { backfilled, statusOf, withStore } from '../status/admin.ts';
import { waitFor } from '../support/tool.ts';
import { examine, told } from './examine.ts';

const first = image('first');

let site: ProxySite;
let env: Record<string, string>;
beforeAll(async () => {
  site = await startProxySite();
  for (const tag of ['1.0', '2.0']) await pushImage(site.primaryTarget('group/app'), tag, first);
  await site.restart({ GEO_REPLICATION: 'on' });
  env = { ...site.env() };
  // That it has ended is written down a little later.
  await waitFor(async () => (await otherWriter()).startsWith('ok: '), { what: 'the first backfill', timeout: 30_000 });
});
afterAll(() => site.close());

/** Whether nothing is to be done any more; a walk that runs now may have passed by what a test did. */
async function isIdle(): Promise<boolean> {
  const { tags, runs } = (await statusOf(site)).replication;
  const known = Object.values(runs).filter((run) => run !== null);
  const isWalked = known.length > 0 && known.every(({ endedAt }) => endedAt !== null);
  return isWalked && tags.pending + tags.syncing + tags.recheck === 0;
}

beforeEach(async () => {
  await waitFor(isIdle, { what: 'the walk at the start', timeout: 20_000 });
  for (const tag of ['1.0', '2.0']) await pushImage(site.secondaryTarget('group/app'), tag, first);
  await backfilled(site);
  await waitFor(isIdle, { what: 'all to be here', timeout: 20_000 });
});

const otherWriter = async (changes: NodeJS.ProcessEnv = {}): Promise<string> =>
  told((await examine({ ...env, ...changes }, { readOnly: true }))['other-writer']);

test('what we put there is as we left it', async () => {
  expect(await otherWriter()).toContain('ok: 2 tags that were looked at are as we left them');
});

test('a tag that was not put there by us', async () => {
  await pushImage(site.secondaryTarget('group/app'), 'theirs', first);
  expect(await otherWriter()).toMatch(
    /^warning: somebody else writes to the secondary: 1 of 3 tags .*, group\/app:theirs \(not put there by us\) -> set GEO_REPLICATION=off if GitLab Geo's/,
  );
  await deleteTag(site.secondaryTarget('group/app'), 'theirs');
});

test('a tag that was put on something else', async () => {
  await pushImage(site.secondaryTarget('group/app'), '2.0', image('theirs'));
  expect(await otherWriter()).toContain(
    '1 of 2 tags that were looked at are not as we left them, group/app:2.0 (another than we put there)',
  );
});

test('tags that somebody removed', async () => {
  await deleteManifest(site.secondaryTarget('group/app'), first.digest);
  expect(await otherWriter()).toContain(
    '2 of 2 tags that were looked at are not as we left them, group/app:1.0 (gone since',
  );
});

test('what is not replicated is not looked at', async () => {
  await pushImage(site.secondaryTarget('group/app'), 'theirs', first);
  expect(await otherWriter({ GEO_REPLICATION_EXCLUDE: 'group' })).toMatch(/^skipped: there is no replicated tag/);
  expect(await otherWriter({ GEO_REPLICATION: 'off' })).toMatch(/^skipped: GEO_REPLICATION is off/);
  expect(await otherWriter({ GEO_STORE: 'off' })).toMatch(/^skipped: GEO_STORE is off/);
  await deleteTag(site.secondaryTarget('group/app'), 'theirs');
});

test("GitLab's registry is told of", async () => {
  site.localRelay.rules.push({ setHeaders: { 'Gitlab-Container-Registry-Version': 'v4.0.0-gitlab' } });
  const reports = await examine(env, { readOnly: true });
  site.localRelay.reset();
  expect(told(reports['secondary'])).toContain(": GitLab's");
  expect(told(reports['other-writer'])).toMatch(/^ok: .*; it is GitLab's registry: where Geo's own/);
});

test('before the first backfill nothing can be told', async () => {
  const sites = site;
  await sites.proxy.close();
  await withStore(sites.dataDir, (store) => store.setFact('backfill.done', false));
  expect(await otherWriter()).toMatch(/^skipped: the first backfill is not done yet/);
  await withStore(sites.dataDir, (store) => store.setFact('backfill.done', true));
  expect(await otherWriter()).toMatch(/^ok: /);
  await sites.restart({ GEO_REPLICATION: 'on' });
});
