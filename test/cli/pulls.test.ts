import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Pull } from '../../web/contract.ts';
import { environment } from '../config/environment.ts';
import { freePort } from '../support/tool.ts';
import { SCENARIOS } from '../web/mock/scenarios.ts';
import { startMockServer, type MockServer } from '../web/mock/server.ts';
import { entry, run, start, type Ended } from './process.ts';
import { startOnTerminal } from './terminal.ts';

let mock: MockServer;
let env: NodeJS.ProcessEnv;
beforeEach(async () => {
  mock = await startMockServer(SCENARIOS.disaster());
  env = { ...environment(), GEO_ADMIN_LISTEN: new URL(mock.url).host, TZ: 'UTC' };
  return () => mock.close();
});

const ask = (...args: string[]): Promise<Ended> => run(args, env);

const DIGEST = `sha256:${'0123456789ab'.padEnd(64, 'c')}`;

function pull(id: number, given: Partial<Pull> = {}): Pull {
  return {
    id,
    at: '2026-11-26T03:04:05.000Z',
    method: 'GET',
    kind: 'manifest',
    repository: 'group/app',
    reference: `${id}.0`,
    digest: null,
    origin: 'primary',
    status: 200,
    bytes: 3_040_870,
    ms: 127,
    ttfbMs: 20,
    user: 'demo',
    client: 'docker/28.2',
    address: '192.0.2.1',
    cause: null,
    ...given,
  };
}

function give(...pulls: Pull[]): void {
  mock.site.pulls = pulls.toReversed();
}

test('pulls prints the last ones in columns, the newest last, a digest short, the cause below', async () => {
  const cause = 'no such tag "9" in group/app at primary.example.com';
  give(
    pull(1),
    pull(2, { method: 'HEAD', kind: 'blob', reference: null, digest: DIGEST, origin: 'memory', bytes: 0, ms: 2 }),
    pull(3, { status: 404, origin: null, cause, user: null, client: null, reference: '9' }),
  );
  expect(await ask('pulls')).toEqual({
    code: 0,
    stdout: [
      '03:04:05 200 GET  group/app:1.0                     primary  2.9 MiB   127 ms demo docker/28.2',
      '03:04:05 200 HEAD group/app@0123456789ab            memory         -     2 ms demo docker/28.2',
      '03:04:05 404 GET  group/app:9                       -        2.9 MiB   127 ms 192.0.2.1',
      `         ${cause}`,
      '',
    ].join('\n'),
    stderr: '',
  });
});

test('no line of pulls is wider than 100 columns, whatever the names are', async () => {
  give(pull(1, { repository: `group/${'sub/'.repeat(40)}app`, reference: 'v'.repeat(128), user: 'u'.repeat(90) }));
  const { stdout } = await ask('pulls');
  expect(stdout.trimEnd().length).toBe(100);
  expect((await ask('pulls', '--full')).stdout).toContain(`${'sub/'.repeat(40)}app:${'v'.repeat(128)}`);
});

test('pulls --failed, --limit and --json choose and form what is printed', async () => {
  give(pull(1, { status: 503 }), pull(2), pull(3, { status: 404 }), pull(4));
  expect((await ask('pulls', '--limit', '2', '--json')).stdout).toBe(
    [pull(3, { status: 404 }), pull(4)].map((one) => `${JSON.stringify(one)}\n`).join(''),
  );
  const { stdout } = await ask('pulls', '--failed');
  expect(stdout.match(/\d\.0/g)).toEqual(['1.0', '3.0']);
  expect((await ask('pulls', '--limit', '0')).code).toBe(2);
});

test('pulls --follow prints what comes, also of a server that is started anew, until Ctrl-C', async () => {
  give(pull(7));
  const command = start(['--', entry, 'pulls', '--follow'], env);
  await command.said('app:7.0');
  give(pull(7), pull(8));
  await command.said('app:8.0');
  give(pull(1));
  await command.said('app:1.0');
  command.kill('SIGINT');
  const { code, stdout } = await command.ended;
  expect(code).toBe(130);
  expect(stdout.match(/app:\d/g)).toEqual(['app:7', 'app:8', 'app:1']);
});

test('on a terminal pulls have colours; --no-color and NO_COLOR take them away', async () => {
  give(pull(1, { status: 503 }));
  const red = '\u001b[31m503';
  expect((await startOnTerminal(['pulls'], env).ended).shown).toContain(red);
  expect((await startOnTerminal(['pulls', '--no-color'], env).ended).shown).not.toContain('\u001b[');
  expect((await startOnTerminal(['pulls'], { ...env, NO_COLOR: '1' }).ended).shown).not.toContain('\u001b[');
  expect((await run(['pulls'], { ...env, FORCE_COLOR: '1' })).stdout).toContain(red);
});

test('a server of before the list of pulls is told in one line', async () => {
  const version = '0.0.1';
  const server = createServer((request, response) => {
    const isStatus = request.url === '/api/status';
    response.statusCode = isStatus ? 200 : 404;
    response.end(isStatus ? JSON.stringify({ version }) : 'not found\n');
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await run(['pulls'], { ...env, GEO_ADMIN_LISTEN: address })).toEqual({
    code: 1,
    stdout: '',
    stderr: `geo-registry-proxy: the server at ${address} runs version ${version}, which keeps no list of pulls: upgrade it\n`,
  });
});

test('without a server pulls says that only a server knows them', async () => {
  const { code, stderr } = await run(['pulls'], { ...env, GEO_ADMIN_LISTEN: `127.0.0.1:${await freePort()}` });
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^geo-registry-proxy: no server answers at .* \(GEO_ADMIN_LISTEN\): only a running server knows its pulls\n$/,
  );
});

test('status --watch draws status, transfers and pulls, goes on, and ends at once on Ctrl-C', async () => {
  give(pull(1));
  const terminal = startOnTerminal(['status', '--watch'], env);
  await terminal.shown('group/app:1.0');
  await terminal.shown('transfers from the primary');
  give(pull(1), pull(2));
  await terminal.shown('group/app:2.0');
  await mock.cut();
  await terminal.shown('trying again');
  await mock.resume();
  give(pull(3));
  await terminal.shown('group/app:3.0');
  terminal.type('\u0003');
  const { code, shown } = await terminal.ended;
  expect(code).toBe(130);
  // The screen of before is there again, with its cursor.
  expect(shown).toContain('\u001b[?25h\u001b[?1049l');
});

test('status --watch does not draw into a pipe', async () => {
  expect(await ask('status', '--watch')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'geo-registry-proxy: --watch draws on a terminal, and standard output is none: call status without it\n',
  });
});

test('status tells what is wrong with what to do, fits 100 columns, and ends with 3', async () => {
  const { code, stdout } = await ask('status');
  expect(code).toBe(3);
  for (const { severity, text } of mock.site.status.problems) {
    if (severity !== 'info')
      expect(stdout.replace(/\s+/g, ' ')).toContain(`${severity === 'error' ? '✗' : '!'} ${text}`);
  }
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(stdout).toMatch(/^primary +\S+ {2}down for .*: connection refused$/m);
});

test('status ends with 0 where the only things told are for information', async () => {
  mock.site = SCENARIOS.healthy();
  const { status } = mock.site;
  const info = { code: 'replication-off', severity: 'info', text: 'for your information', advice: '' } as const;
  mock.site.status = { ...status, problems: [info] };
  const { code, stdout } = await ask('status');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^status +ok$/m);
  expect(stdout).not.toContain('for your information');
});
