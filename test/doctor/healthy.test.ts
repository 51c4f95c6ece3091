import { readFileSync } from 'node:fs';
import { request } from 'undici';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { entry, run, start } from '../cli/process.ts';
import { tagsAt } from '../replication/rig.ts';
import { statusOf } from '../status/admin.ts';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { freePort, waitFor } from '../support/tool.ts';
import { examine, told } from './examine.ts';

const SECRET = 'a secret of ours';
const REPOSITORY = 'geo-registry-proxy/doctor';

let site: ProxySite;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  const port = await freePort();
  const own = { GEO_LISTEN: `127.0.0.1:${port}`, GEO_REPLICATION: 'on', GEO_EVENTS_TOKEN: SECRET };
  site = await startProxySite({ publicProjects: ['**'] });
  await pushImage(site.primaryTarget('group/app'), '1.0', image('app'));
  // The first backfill finds it.
  await site.restart(own);
  env = { ...site.env(), ...own, GEO_SPOOL_MAX: '1MiB' };
  const isReplicated = async (): Promise<boolean> =>
    (await statusOf(site)).replication.tags.synced === 1 && (await examine(env))['other-writer']?.verdict === 'ok';
  await waitFor(isReplicated, { what: 'the first backfill', timeout: 30_000 });
});
afterAll(() => site.close());
beforeEach(() => site.localRelay.reset());

/** What doctor put into the secondary, by the requests that crossed. */
function put(): string[] {
  const puts = site.localRelay.requests.filter(({ method, status }) => method === 'PUT' && status === 201);
  return puts.map(({ path }) => {
    const digest = /sha256(?::|%3A)[0-9a-f]{64}/.exec(path)?.[0].replace('%3A', ':');
    return `${path.includes('/manifests/') ? 'manifests' : 'blobs'}/${digest}`;
  });
}

async function statusAt(path: string): Promise<number> {
  const { token } = site.secondaryTarget(REPOSITORY);
  const headers = { authorization: `Bearer ${token}`, accept: 'application/vnd.oci.image.manifest.v1+json' };
  const { statusCode, body } = await request(`${site.secondary.url}/v2/${REPOSITORY}/${path}`, { headers });
  await body.dump();
  return statusCode;
}

test('all is well at a healthy site', async () => {
  const reports = await examine(env, { url: new URL(site.proxy.url) });
  expect(Object.values(reports).filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
  expect(Object.keys(reports)).toHaveLength(19);
  expect(told(reports['other-writer'])).toContain('1 tag that was looked at is as we left it');
});

test('what was pushed for a trial is gone afterwards', async () => {
  await examine(env);
  const pushed = put();
  expect(pushed).toHaveLength(2);
  expect(await Promise.all(pushed.map(statusAt))).toEqual([404, 404]);
  expect(await tagsAt(site.secondaryTarget(REPOSITORY))).toEqual([]);
});

test('with --read-only nothing is written', async () => {
  const reports = await examine(env, { readOnly: true });
  for (const check of ['push', 'delete', 'schema1', 'foreign-layers']) {
    expect(told(reports[check])).toContain('skipped: --read-only');
  }
  expect(site.localRelay.count(({ method }) => !['GET', 'HEAD'].includes(method))).toBe(0);
});

test('the command prints a line for each check and ends with 0', async () => {
  const { code, stdout, stderr } = await run(['doctor'], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(20);
  expect(lines[0]).toBe('ok       configuration    all variables are right');
  expect(lines.at(-1)).toMatch(/^19 checks: \d+ ok, \d+ warning, 0 failed, \d+ skipped$/);
});

test('the command prints JSON', async () => {
  const { code, stdout } = await run(['doctor', '--json'], env);
  expect(code).toBe(0);
  const { result, checks } = JSON.parse(stdout) as { result: string; checks: object[] };
  expect(['ok', 'warning']).toContain(result);
  expect(checks[0]).toEqual({
    check: 'configuration',
    verdict: 'ok',
    message: 'all variables are right',
    advice: null,
  });
});

test('no secret is printed, not even one that a registry sends', async () => {
  const echo = `no ${SECRET} and no eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln`;
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: echo }] });
  site.localRelay.rules.push({ match: ({ method }) => method === 'DELETE', answer: { status: 403, body } });
  for (const form of [[], ['--json']]) {
    const { code, stdout, stderr } = await run(['doctor', ...form], env);
    expect(code).toBe(3);
    expect(stdout).toContain('403 DENIED: no *** and no ***');
    const output = stdout + stderr;
    expect(output).not.toContain(SECRET);
    expect(output).not.toMatch(/eyJ/);
    const key = readFileSync(site.keys.keyFile, 'utf8').split('\n');
    for (const line of key.filter((text) => text.length > 20)) expect(output).not.toContain(line);
  }
});

test('Ctrl-C ends it with what is known', async () => {
  site.relay.rules.push({ hang: true });
  onTestFinished(() => site.relay.reset());
  const command = start(['--', entry, 'doctor'], env);
  await command.said('configuration');
  command.kill('SIGINT');
  const { code, stdout } = await command.ended;
  expect(code).toBe(130);
  expect(stdout).toMatch(/^skipped {2}primary +interrupted$/m);
});

test('--notifications prints the block of the primary in all forms, without the secret', async () => {
  const url = 'https://registry.berlin.example.com';
  const { code, stdout } = await run(['doctor', '--notifications', '--url', url], env);
  expect(code).toBe(0);
  expect(stdout).not.toContain(SECRET);
  expect(stdout.match(/<the value of GEO_EVENTS_TOKEN>/g)).toHaveLength(3);
  expect(stdout).toContain(`      url: ${url}/api/v4/container_registry_event/events\n`);
  expect(stdout).toContain(`'url' => '${url}/api/v4/container_registry_event/events',\n`);
  expect(stdout).toContain("registry['notifications'] = [");
  expect(site.localRelay.requests).toEqual([]);
});

test.each([
  ['gitlab', "'maxretries' => 5"],
  ['distribution', 'mediatypes: [application/octet-stream]'],
  ['zot', '"sinks": ['],
])('--notifications=%s prints that block alone', async (kind, holds) => {
  const { code, stdout } = await run(['doctor', `--notifications=${kind}`, '--url', 'https://r.example.com'], {});
  expect({ code, blocks: stdout.match(/^# The /gm) }).toEqual({ code: 0, blocks: ['# The '] });
  expect(stdout).toContain(holds);
});

test('--notifications of another kind is refused', async () => {
  const { code, stderr } = await run(['doctor', '--notifications=harbor'], {});
  expect(code).toBe(2);
  expect(stderr).toContain('Allowed choices are gitlab, distribution, zot.');
});

test('--notifications without --url says what is to be replaced', async () => {
  const { stdout } = await run(['doctor', '--notifications'], {});
  expect(stdout).toContain('# Replace registry.secondary.example.com by the name');
});

test('--url takes a URL alone', async () => {
  const { code, stderr } = await run(['doctor', '--url', 'registry.example.com'], env);
  expect(code).toBe(2);
  expect(stderr).toContain("option '--url <url>' argument 'registry.example.com' is invalid. It has no scheme");
});
