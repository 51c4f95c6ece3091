// A site is lost, the other one becomes the primary, and the lost one comes back as its secondary: docs/failover.md, played.
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { startProxy, type Proxy } from '../../src/main.ts';
import { image, type Manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { deleteManifest, pushImage, type Target } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { run, type Ended } from '../cli/process.ts';

const name = 'group/app';
const [old, moved, added, gone, late] = ['old', 'moved', 'added', 'gone', 'late'].map((seed) => image(seed)) as [
  Manifest,
  Manifest,
  Manifest,
  Manifest,
  Manifest,
];
const NOTHING = { pending: 0, syncing: 0, recheck: 0, failed: 0 };

let site: ProxySite;
let back: Proxy | undefined;
beforeAll(async () => {
  site = await startProxySite({ env: { GEO_REPLICATION: 'on', GEO_RECONCILE_INTERVAL: '1h' } });
});
afterAll(async () => {
  await back?.close();
  await site.close();
});

interface Told {
  readonly replication: {
    readonly tags: Readonly<Record<keyof typeof NOTHING | 'synced', number>>;
    readonly runs: Readonly<Record<string, { readonly endedAt: string | null } | null>>;
    readonly removals: { readonly suspension: { readonly isCompared: boolean } | null };
  };
}

/** Waits until a proxy has compared the sites, and only removals wait: for a person. */
async function waitsForPerson(proxy: Pick<Proxy, 'adminUrl'>, synced: number): Promise<void> {
  const isWaiting = async (): Promise<boolean> => {
    const { replication } = (await (await fetch(`${proxy.adminUrl}/api/status`)).json()) as Told;
    const { tags, removals } = replication;
    return tags.synced >= synced && tags.syncing + tags.recheck === 0 && removals.suspension?.isCompared === true;
  };
  await waitFor(isWaiting, { what: `${synced} synced images, and removals that wait` });
}

/** Waits until a proxy has compared the sites and has nothing left to do. */
async function whole(proxy: Pick<Proxy, 'adminUrl'>, synced: number): Promise<void> {
  const isWhole = async (): Promise<boolean> => {
    const { replication } = (await (await fetch(`${proxy.adminUrl}/api/status`)).json()) as Told;
    const { tags, runs } = replication;
    const isCompared = Object.values(runs).some((one) => one !== null && one.endedAt !== null);
    return isCompared && tags.synced >= synced && tags.pending + tags.syncing + tags.recheck + tags.failed === 0;
  };
  await waitFor(isWhole, { what: `${synced} synced images, and nothing else` });
}

async function command(proxy: Pick<Proxy, 'adminUrl'>, ...args: string[]): Promise<Ended> {
  return run(args, { ...site.env(), GEO_ADMIN_LISTEN: new URL(proxy.adminUrl).host });
}

/** The digest of a tag in a registry itself; undefined where it has none. */
async function digestOf({ url, token }: Target, tag: string): Promise<string | undefined> {
  const headers = { authorization: `Bearer ${token}`, accept: old.mediaType };
  const { status, headers: told } = await fetch(`${url}/v2/${name}/manifests/${tag}`, { method: 'HEAD', headers });
  return status === 200 ? (told.get('docker-content-digest') ?? undefined) : undefined;
}

test('the secondary of a site that works may be promoted when it is whole, and not before', async () => {
  for (const [tag, pushed] of Object.entries({ latest: old, gone }))
    await pushImage(site.primaryTarget(name), tag, pushed);
  const orders = await fetch(`${site.proxy.adminUrl}/api/replication/backfill`, { method: 'POST' });
  expect(orders.status).toBe(202);
  await whole(site.proxy, 2);
  const { code, stdout } = await command(site.proxy, 'promote-check');
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('test may be promoted') });
  expect(stdout).toContain('the primary still answers: what is pushed there from now on is missing here');
});

test('after the loss of the primary it may be promoted, pushes go to it, and the proxy that was forgotten serves', async () => {
  // Pushed in the last moment, and never told of.
  await pushImage(site.primaryTarget(name), 'late', late);
  process.kill(site.primary.pid, 'SIGKILL');
  await site.primary.stop();
  const latest = await site.ask(`${name}/manifests/latest`);
  expect(latest).toMatchObject({ status: 200, headers: { 'docker-content-digest': old.digest } });
  expect(latest.headers['warning']).toMatch(/^299 /);

  // It is found out by the next question, not by the one before.
  const primaryText = async (): Promise<string> => {
    const { code, stdout } = await command(site.proxy, 'promote-check', '--json');
    expect(code).toBe(0);
    const { checks } = JSON.parse(stdout) as { checks: { check: string; text: string }[] };
    return checks.find(({ check }) => check === 'primary')!.text;
  };
  await waitFor(async () => /^the primary is down .* is not known$/.test(await primaryText()), {
    what: 'the loss of the primary to be told',
  });

  const target = site.secondaryTarget(name);
  await pushImage(target, 'latest', moved);
  await pushImage(target, 'added', added);
  await deleteManifest(target, gone.digest);
  expect((await site.ask(`${name}/manifests/added`)).headers['docker-content-digest']).toBe(added.digest);
});

test('the old primary comes back as a secondary, is brought up to date, and loses nothing without a word', async () => {
  await site.primary.start();
  const env = {
    ...site.env(),
    GEO_SITE_NAME: 'back',
    GEO_PRIMARY_URL: site.secondary.url,
    GEO_SECONDARY_URL: site.primary.url,
    GEO_DATA_DIR: join(site.dataDir, 'back'),
    GEO_REPLICATION: 'on',
  };
  back = await startProxy(loadConfig(env), { logger: pino({ level: 'silent' }) });
  const home = site.primaryTarget(name);
  for (const [tag, { digest }] of Object.entries({ latest: moved, added })) {
    await waitFor(async () => (await digestOf(home, tag)) === digest, { what: `${tag} as the new primary has it` });
  }
  await waitsForPerson(back, 2);
  // What the new primary does not have stays until a person has looked: one was deleted there, one was never there.
  expect([await digestOf(home, 'gone'), await digestOf(home, 'late')]).toEqual([gone.digest, late.digest]);
  const check = await command(back, 'promote-check');
  expect({ code: check.code, stdout: check.stdout }).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('the secondary has images that the primary has deleted'),
  });

  // The one that was never there is pushed again, from where it still is.
  await pushImage(site.secondaryTarget(name), 'late', late);
  expect((await command(back, 'backfill')).code).toBe(0);
  expect((await command(back, 'confirm-removals', '--yes')).code).toBe(0);
  await waitFor(async () => (await digestOf(home, 'gone')) === undefined, { what: 'the removal of what was deleted' });
  expect(await digestOf(home, 'late')).toBe(late.digest);
  await waitFor(async () => (await command(back!, 'promote-check')).code === 0, { what: 'a whole secondary' });
});
