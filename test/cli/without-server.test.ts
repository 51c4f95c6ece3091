import { readFile, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { failed, putRows, withStore, type GivenRow } from '../status/admin.ts';
import { image } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { startSites, type Sites } from '../support/sites.ts';
import { freePort, tempDir, waitFor, type TempDir } from '../support/tool.ts';
import { entry, run, start, type Ended } from './process.ts';

const held: GivenRow['outcome'] = { kind: 'held' };

let sites: Sites;
let data: TempDir;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  sites = await startSites();
  for (const name of ['group/one', 'other/two']) await pushImage(sites.primaryTarget(name), '1.0', image(name));
});
afterAll(() => sites.close());

beforeEach(async () => {
  data = await tempDir();
  env = { ...sites.env(), GEO_DATA_DIR: data.path, GEO_ADMIN_LISTEN: `127.0.0.1:${await freePort()}` };
  return () => data.remove();
});

const ask = (...args: string[]): Promise<Ended> => run(args, env);

test('status reads the database, and ends with 3 since nothing runs', async () => {
  await putRows(data.path, [{ reference: 'broken', outcome: failed() }]);
  const { code, stdout, stderr } = await ask('status');
  expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
  expect(stdout).toMatch(/^status +stopped\n +✗ no process of the proxy answers$/m);
  expect(stdout).toMatch(/^tags +0 queued, 0 syncing, 0 synced, 1 failed, 0 unsupported, 0 rechecking$/m);
  expect(stdout).toContain('group/app:broken');
  expect(JSON.parse((await ask('status', '--json')).stdout)).toMatchObject({ status: 'stopped', breakers: null });
});

test('status --repository reads the database, and ends with 0 where nothing failed', async () => {
  const digest = image('one').digest as Digest;
  await putRows(data.path, [
    { repository: 'group/one', reference: '1.0', outcome: { kind: 'synced', digest, bytes: 1 } },
  ]);
  const { code, stdout, stderr } = await ask('status', '--repository', 'group/one', '--full');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const checksum = createHash('sha256').update(`1.0${digest}`).digest('hex');
  expect(stdout).toMatch(new RegExp(`^group/one +1 +1 +- +- +- +(?:now|.* ago) +${checksum}$`, 'm'));
  const short = await ask('repositories');
  expect(short.stdout).toMatch(new RegExp(`^group/one .* ${checksum.slice(0, 12)}$`, 'm'));
});

test('status tells why removals wait at a first start', async () => {
  await withStore(data.path, async (store) => {
    await store.setFact('removals.suspended', 'first start');
    await store.setFact('removals.compared', true);
  });
  const { stdout } = await ask('status');
  expect(stdout).toMatch(
    /^removals .*; those of what was never seen at the primary wait until a\s+person confirms, since replication began anew here; see confirm-removals$/m,
  );
});

test('retry makes rows due for the next start', async () => {
  await putRows(data.path, [
    { repository: 'group/one', outcome: failed() },
    { repository: 'other/two', outcome: failed() },
  ]);
  expect(await ask('retry', '--repository', 'group')).toEqual({
    code: 0,
    stdout: '1 tag or manifest tried again as soon as the proxy runs\n',
    stderr: '',
  });
  await withStore(data.path, async (store) => {
    const due = await store.claim('test', 10, Date.now(), Date.now() + 1_000);
    expect(due.map(({ repository }) => repository)).toEqual(['group/one']);
  });
});

test('confirm-removals confirms for the next start, and ends the waiting for a look at another primary', async () => {
  await putRows(data.path, [{ repository: 'gone/one', outcome: held }]);
  await withStore(data.path, async (store) => {
    await store.setFact('removals.suspended', true);
    await store.setFact('removals.compared', true);
  });
  expect(await ask('confirm-removals', '--yes')).toEqual({ code: 0, stdout: '1 removal confirmed\n', stderr: '' });
  await withStore(data.path, async (store) => {
    expect(await store.getFact('removals.suspended')).toBe(false);
    expect(await store.list({ isHeld: true })).toMatchObject([{ repository: 'gone/one', isConfirmed: true }]);
  });
});

test.each([[], ['--repository', 'gone/*']])(
  'confirm-removals %s is refused before everything was compared',
  async (...filter) => {
    await putRows(data.path, [{ repository: 'gone/one', outcome: held }]);
    await withStore(data.path, (store) => store.setFact('removals.suspended', 'other primary'));
    const { code, stderr } = await ask('confirm-removals', '--yes', ...filter);
    await withStore(data.path, async (store) => {
      expect(await store.list({ isHeld: true })).toMatchObject([{ isConfirmed: false }]);
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^geo-registry-proxy: not everything was compared with the primary yet: .*\n$/);
  },
);

test('backfill does the work itself, and ends when all is here', async () => {
  const { code, stdout } = await ask('backfill', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ run: { repositories: 2, error: null }, tags: { synced: 2, failed: 0 } });
  await withStore(data.path, async (store) => {
    expect((await store.counts(Date.now())).states).toMatchObject({ pending: 0, syncing: 0, synced: 2 });
  });
});

test('backfill that is interrupted ends in order; the next one does the rest', async () => {
  await pushImage(sites.primaryTarget('late/three'), '1.0', image('three'));
  const gate = createGate();
  sites.relay.rules.push({ match: ({ path }) => path.includes('/blobs/'), gate });
  const command = start(['--', entry, 'backfill'], { ...env, GEO_SHUTDOWN_TIMEOUT: '0' });
  await waitFor(() => gate.arrived > 0, { what: 'a blob to be asked for', timeout: 20_000 });
  command.kill('SIGINT');
  const { code, stderr } = await command.ended;
  expect(code).toBe(130);
  expect(stderr).toContain('what is left waits for the next start');
  gate.open();
  sites.relay.reset();
  expect(await ask('backfill')).toMatchObject({ code: 0, stdout: expect.stringContaining('3 synced') });
});

test('backfill of a primary without a catalog ends with what to do', async () => {
  sites.relay.rules.push({ match: ({ path }) => path.includes('_catalog'), answer: { status: 404 } });
  const { code, stderr } = await ask('backfill');
  sites.relay.reset();
  expect(code).toBe(1);
  expect(stderr).toMatch(/^geo-registry-proxy: the backfill ended early: /m);
});

test('verify does the work itself, and ends with 3 where something is not right', async () => {
  expect((await ask('backfill')).code).toBe(0);
  const { code, stdout } = await ask('verify', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ run: { marked: 0, damaged: 0, error: null } });
  const { digest } = image('group/one').blobs[0]!;
  const file = sites.secondary.blobFile(digest);
  const bytes = await readFile(file);
  bytes[0]! ^= 1;
  await writeFile(file, bytes);
  // Read a moment ago: only reading it again tells.
  expect((await ask('verify', '--repository', 'group/one')).code).toBe(0);
  const again = await ask('reverify', '--rehash', '--repository', 'group/one');
  expect(again.code).toBe(3);
  expect(again.stdout).toMatch(
    /^verification ended: 1 repository, 1 tag, .* read; 0 right, 1 queued to be copied again, .*1 damaged/m,
  );
});

test('a data directory that a process has is refused in a line, and free when that was killed', async () => {
  const other = { ...env, GEO_ADMIN_LISTEN: `127.0.0.1:${await freePort()}` };
  const server = start(['--', entry, 'serve'], env);
  await server.said('"listening"');
  expect(await run(['serve'], other)).toMatchObject({
    code: 1,
    stderr: `geo-registry-proxy: GEO_DATA_DIR: another process uses ${data.path}: stop that one first, or give each a directory of its own\n`,
  });
  server.kill('SIGKILL');
  await server.ended;
  const next = start(['--', entry, 'serve'], other);
  await next.said('"listening"');
});
