import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { RowPage } from '../../src/status/row-listing.ts';
import { environment } from '../config/environment.ts';
import { askAdmin, failed, restartWith, statusOf, type GivenRow } from '../status/admin.ts';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { freePort, waitFor } from '../support/tool.ts';
import { run, start, entry, type Ended } from './process.ts';
import { startOnTerminal } from './terminal.ts';

const on = { GEO_REPLICATION: 'on' };
const held: GivenRow['outcome'] = { kind: 'held' };

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
  for (const name of ['group/one', 'group/two', 'other/three']) {
    await pushImage(site.primaryTarget(name), '1.0', image(name));
  }
});
afterAll(() => site.close());

/** The environment of the server as it runs now. */
function env(): NodeJS.ProcessEnv {
  return { ...site.env(), ...on, GEO_ADMIN_LISTEN: new URL(site.proxy.adminUrl).host };
}

const ask = (...args: string[]): Promise<Ended> => run(args, env());

async function names(query: string): Promise<string[]> {
  const { rows } = (await askAdmin(site, `/api/replication?${query}`)).json as RowPage;
  return rows.map(({ repository, reference }) => `${repository}:${reference}`);
}

test('status prints how the site does, and ends with 0 when all is well', async () => {
  await restartWith(site, [], on);
  const { code, stdout, stderr } = await ask('status');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^site +test \(geo-registry-proxy \d+\.\d+\.\d+, up /m);
  expect(stdout).toMatch(/^status +ok$/m);
  expect(stdout).toMatch(/^tags +\d+ queued, \d+ syncing, \d+ synced, 0 failed, 0 unsupported, 0 rechecking$/m);
});

test('status tells what failed and why, and ends with 3', async () => {
  await restartWith(site, [{ reference: 'broken', outcome: failed('no \u001b[2Jspace\nleft') }]);
  const { code, stdout } = await ask('status');
  expect(code).toBe(3);
  expect(stdout).toMatch(/^ {2}group\/app:broken \(1 attempt, next in .*\): no \ufffd\[2Jspace left$/m);
});

// What the disk has free changes from one moment to the next.
const steady = (status: Record<string, unknown>): object => ({
  ...status,
  uptimeMs: 0,
  spool: { ...(status['spool'] as object), diskFreeBytes: 0 },
});

test('status --json is the status of the API', async () => {
  const { stdout } = await ask('status', '--json');
  const snapshot = await statusOf(site);
  expect(snapshot.uptimeMs).toBeGreaterThan(0);
  expect(steady(JSON.parse(stdout) as Record<string, unknown>)).toEqual(steady({ ...snapshot }));
});

test('status --repository prints a line for each repository, and ends with 3 where something failed', async () => {
  await restartWith(site, [
    { repository: 'group/one', reference: 'broken', outcome: failed() },
    { repository: 'group/one', reference: 'gone', outcome: held },
    { repository: 'group/three', reference: '1.0', outcome: held },
    { repository: 'other/three', reference: 'broken', outcome: failed() },
  ]);
  const expected = {
    code: 3,
    stdout: [
      'repository   tags  synced  queued  failed  unsupported  last synced  checksum',
      'group/one    2     -       1       1       -            never        -',
      'group/three  1     -       1       -       -            never        -',
      '2 repositories',
      '',
    ].join('\n'),
    stderr: '',
  };
  expect(await ask('status', '--repository', 'group/*')).toEqual(expected);
  expect(await ask('repositories', '--repository', 'group/*')).toEqual(expected);
  const all = await ask('repositories', '--failed', '--json');
  const { repositories } = JSON.parse(all.stdout) as { repositories: { name: string }[] };
  expect(repositories.map(({ name }) => name)).toEqual(['group/one', 'other/three']);
  expect((await ask('status', '--repository', 'group/three')).code).toBe(0);
});

test('status --repository --json is what the API lists', async () => {
  await restartWith(site, [{ repository: 'group/two', reference: 'broken', outcome: failed() }]);
  const { code, stdout } = await ask('status', '--repository', 'group/*', '--json');
  const { json } = await askAdmin(site, '/api/replication/repositories?repository=group/*');
  expect(code).toBe(3);
  expect({ ...JSON.parse(stdout), total: null }).toEqual(json);
  expect(json).toMatchObject({ repositories: [{ name: 'group/two', checksum: null }] });
});

test.each(['status', 'repositories', 'retry', 'verify', 'confirm-removals'])(
  '%s of a repository that is not known names those that are like it',
  async (command) => {
    await restartWith(site, [
      { repository: 'group/one', outcome: held },
      { repository: 'group/three', outcome: held },
    ]);
    const { code, stdout, stderr } = await ask(command, '--repository', 'group/onne');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^(verify: starting\n)?geo-registry-proxy: no repository is known that matches "group\/onne" \(did you mean group\/one\?\)\n$/,
    );
    expect((await ask(command, '--repository', 'nothing/of/the/kind')).stderr).toMatch(/of\/the\/kind"\n$/);
  },
);

test('backfill of a repository that the primary does not have says so', async () => {
  await restartWith(site, [], on);
  const { code, stdout, stderr } = await ask('backfill', '--repository', 'nothing/there');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('geo-registry-proxy: the primary has no repository that matches "nothing/there"\n');
});

test('status tells of a primary that is gone, and ends with 3', async () => {
  await restartWith(site, []);
  await site.relay.down();
  onTestFinished(() => site.relay.up());
  const { code, stdout } = await ask('status');
  expect(code).toBe(3);
  expect(stdout).toMatch(/^status +degraded\n +✗ the primary registry cannot be reached: connection refused$/im);
});

test('retry makes what failed due now', async () => {
  const rows = ['group/one', 'other/three'].map((repository) => ({ repository, reference: '1.0', outcome: failed() }));
  await restartWith(site, rows, on);
  expect(await ask('retry', '--repository', 'group/*')).toEqual({
    code: 0,
    stdout: '1 tag or manifest tried again now\n',
    stderr: '',
  });
  await waitFor(async () => (await names('state=synced&repository=group/one')).length === 1, { what: 'the row' });
  expect(await names('state=failed')).toEqual(['other/three:1.0']);
  expect((await ask('resync-failed', '--json')).stdout).toBe('{"changed":1}\n');
});

test('confirm-removals --yes confirms those of the repositories named', async () => {
  const rows = ['gone/one', 'gone/two'].map((repository) => ({ repository, reference: '1.0', outcome: held }));
  await restartWith(site, rows);
  expect(await ask('confirm-removals', '--yes', '--repository', 'gone/one')).toEqual({
    code: 0,
    stdout: '1 removal confirmed\n',
    stderr: '',
  });
  await waitFor(async () => (await names('held=true')).length === 1, { what: 'the removal' });
  expect(await names('held=true')).toEqual(['gone/two:1.0']);
});

test('confirm-removals without a person to ask confirms nothing, and says what to give', async () => {
  await restartWith(site, [{ repository: 'gone/two', reference: '1.0', outcome: held }]);
  expect(await ask('confirm-removals')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'geo-registry-proxy: this is no terminal, so it cannot ask: give --yes to confirm without a question\n',
  });
  expect((await statusOf(site)).replication.removals.held).toBe(1);
});

test.each(['n', '', 'yess'])('confirm-removals shows what would go, and takes "%s" for a no', async (answer) => {
  await restartWith(site, [{ repository: 'gone/two', reference: '1.0', outcome: held }]);
  const terminal = startOnTerminal(['confirm-removals'], env());
  await terminal.shown('gone/two:1.0');
  await terminal.shown('[y/N]');
  terminal.type(answer);
  const { code, shown } = await terminal.ended;
  expect(code).toBe(1);
  expect(shown).toContain('nothing was confirmed');
  expect((await statusOf(site)).replication.removals.held).toBe(1);
});

test('confirm-removals ends at once on Ctrl-C, and confirms nothing', async () => {
  await restartWith(site, [{ repository: 'gone/two', reference: '1.0', outcome: held }]);
  const terminal = startOnTerminal(['confirm-removals'], env());
  await terminal.shown('[y/N]');
  terminal.type('\u0003');
  expect((await terminal.ended).code).toBe(130);
  expect((await statusOf(site)).replication.removals.held).toBe(1);
});

test('confirm-removals takes y for a yes', async () => {
  await restartWith(site, [{ repository: 'gone/two', reference: '1.0', outcome: held }]);
  const terminal = startOnTerminal(['confirm-removals'], env());
  await terminal.shown('[y/N]');
  terminal.type('y');
  const { code, shown } = await terminal.ended;
  expect(code).toBe(0);
  expect(shown).toContain('1 removal confirmed');
});

test('confirm-removals asks nothing where nothing waits', async () => {
  await restartWith(site, []);
  expect(await ask('confirm-removals')).toEqual({ code: 0, stdout: '0 removals confirmed\n', stderr: '' });
});

test('backfill waits until all that the primary has is here', async () => {
  await restartWith(site, [], on);
  const { code, stdout } = await ask('backfill');
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: 'backfill ended: 3 repositories, 3 tags; the site has 3 synced\n',
  });
  expect((await statusOf(site)).replication.tags).toMatchObject({ pending: 0, syncing: 0, synced: 3 });
});

test('resync is backfill by the name that Geo gives it; --json tells the run and the tags', async () => {
  await restartWith(site, [], on);
  const { code, stdout } = await ask('resync', '--repository', 'group/one', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ run: { repositories: 1, tags: 1, error: null }, tags: { failed: 0 } });
});

test('backfill ends with 3 where something failed', async () => {
  await restartWith(site, [{ repository: 'group/one', reference: 'broken', outcome: failed() }], on);
  const { code, stdout } = await ask('backfill', '--repository', 'group/one');
  expect(code).toBe(3);
  expect(stdout).toMatch(/1 failed/);
});

test('backfill that is interrupted leaves the run to the server', async () => {
  await restartWith(site, [], on);
  await waitFor(async () => (await statusOf(site)).replication.runs.reconcile?.endedAt, { what: 'the comparison' });
  const gate = createGate();
  onTestFinished(() => site.relay.reset());
  site.relay.rules.push({ match: ({ path }) => path.includes('_catalog'), gate });
  const command = start(['--', entry, 'backfill'], env());
  await waitFor(() => gate.arrived > 0, { what: 'the walk to begin' });
  command.kill('SIGINT');
  const { code, stderr } = await command.ended;
  expect(code).toBe(130);
  expect(stderr).toContain('the server goes on with the backfill');
  gate.open();
  await waitFor(async () => (await statusOf(site)).replication.runs.backfill?.endedAt, { what: 'the walk to end' });
  expect((await statusOf(site)).replication.runs.backfill).toMatchObject({ repositories: 3, error: null });
});

test('backfill shows its progress on a terminal', async () => {
  await restartWith(site, [], on);
  const terminal = startOnTerminal(['backfill'], env());
  const { code, shown } = await terminal.ended;
  expect(code).toBe(0);
  // What comes between may be over before it is looked at.
  expect(shown).toMatch(/backfill: starting[\s\S]*[█░]{24} backfill: \d of 3 tags/);
  expect(shown).toContain(`${'█'.repeat(24)} backfill: 3 tags, all done`);
});

test('backfill where the server does not replicate is refused in a line', async () => {
  await restartWith(site, [], { GEO_REPLICATION: 'off' });
  const { code, stderr } = await ask('backfill');
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^backfill: starting\ngeo-registry-proxy: the server at 127\.0\.0\.1:\d+ refuses: replication is off: set GEO_REPLICATION and GEO_STORE to on, and start again\n$/,
  );
});

test('a wrong token is told in a line', async () => {
  const port = await freePort();
  const token = { GEO_ADMIN_TOKEN: 's3cret-token', GEO_ADMIN_LISTEN: `0.0.0.0:${port}` };
  await site.restart(token);
  const { code, stderr } = await run(['status'], { ...env(), ...token, GEO_ADMIN_TOKEN: 'another-token' });
  expect(code).toBe(1);
  expect(stderr).toBe(
    `geo-registry-proxy: the server at 127.0.0.1:${port} refuses: give the value of GEO_ADMIN_TOKEN as Authorization: Bearer; in a browser log in at /\n`,
  );
  // The right one is taken, and a server that listens everywhere is asked on loopback.
  expect((await run(['status', '--json'], { ...env(), ...token })).stdout).toContain('"site": "test"');
});

test('something else at the address is told in a line', async () => {
  const server = createServer((_request, response) => response.end('<html>')).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { code, stderr } = await run(['retry'], { ...environment(), GEO_ADMIN_LISTEN: address });
  expect(code).toBe(1);
  expect(stderr).toBe(
    `geo-registry-proxy: what answers at ${address} (GEO_ADMIN_LISTEN) is no geo-registry-proxy: status 200\n`,
  );
});

test('without a server and without a database the command says so, and makes none', async () => {
  const settings: NodeJS.ProcessEnv = { ...environment(), GEO_ADMIN_LISTEN: `127.0.0.1:${await freePort()}` };
  const { code, stderr } = await run(['status'], settings);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^geo-registry-proxy: no server answers at .* \(GEO_ADMIN_LISTEN\), and there is no database .*state\.db: is this the server's configuration\?\n$/,
  );
  expect(existsSync(join(settings['GEO_DATA_DIR']!, 'state.db'))).toBe(false);
});
