// `init` as its users run it, before two real registries with token authentication.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../config/environment.ts';
import { image } from '../support/image.ts';
import { ociError, startDouble } from '../init/double.ts';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { pushImage } from '../support/push.ts';
import { startRegistry } from '../support/registry.ts';
import { startSites, type Sites } from '../support/sites.ts';
import { freePort, run as runTool, tempDir, toolPath, waitFor, type TempDir } from '../support/tool.ts';
import { entry, run, start, type Ended } from './process.ts';
import { startOnTerminal } from './terminal.ts';

const FILES = ['proxy.env', 'geo-registry-proxy.service', 'registry.conf', 'notifications.yml'];
const PUBLIC = 'https://registry.here.example.com';

let sites: Sites;
let tls: SiteKeys;
/** Listeners that no other test has. */
let env: Record<string, string>;
/** Where init has written a site's files, and what it said. */
let out: string;
let first: Ended;
let scratch: TempDir;
beforeAll(async () => {
  [scratch, sites, tls] = await Promise.all([tempDir(), startSites({ publicProjects: ['**'] }), createSiteKeys()]);
  env = { GEO_LISTEN: `127.0.0.1:${await freePort()}`, GEO_ADMIN_LISTEN: `127.0.0.1:${await freePort()}` };
  out = join(scratch.path, 'site');
  const certificate = ['--tls-cert', tls.certFile, '--tls-key', tls.keyFile];
  const key = ['--key', sites.keys.keyFile, '--data-dir', join(scratch.path, 'data')];
  const args = ['init', ...places(), ...key, ...certificate, '--site', 'here', '--out', out];
  first = await runTool(process.execPath, ['--', entry, ...args], { env });
});
afterAll(async () => {
  await sites.close();
  await Promise.all([tls.remove(), scratch.remove()]);
});

function places(): string[] {
  return ['--primary', sites.relay.url, '--secondary', sites.localRelay.url, '--url', PUBLIC];
}

function init(...args: string[]): Promise<Ended> {
  return run(['init', ...args], env);
}

function read(name: string, directory = out): string {
  return readFileSync(join(directory, name), 'utf8');
}

test('from two URLs and a key to four files, which doctor finds right', () => {
  const { code, stdout, stderr } = first;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^primary +http:\/\/127\.0\.0\.1:\d+: Distribution 2; its list of repositories is empty$/m);
  expect(stdout).toMatch(/^secondary +http:\/\/127\.0\.0\.1:\d+: Distribution 2; deletes are on$/m);
  expect(stdout).toMatch(
    /^tokens +issuer omnibus-gitlab-issuer, audience container_registry, key id libtrust: tried$/m,
  );
  expect(stdout).toMatch(/^ok +secondary-token /m);
  expect(stdout).not.toMatch(/^(?:failed|warning) +(?!open-files|data-directory)/m);
  expect(stdout).toMatch(/^Next, as root:\n {2}1\. .*\n {2}2\. .*systemctl enable --now.*\n {2}3\. .*nginx -t/m);
  // The certificate is there.
  expect(stdout).not.toContain('Before the third');
  expect(FILES.map((name) => (statSync(join(out, name)).mode & 0o777).toString(8))).toEqual([
    '640',
    '644',
    '644',
    '600',
  ]);
  const text = read('proxy.env');
  expect(parseEnv(text)).toEqual({
    ...env,
    GEO_PRIMARY_URL: sites.relay.url,
    GEO_SECONDARY_URL: sites.localRelay.url,
    GEO_PRIMARY_AUTH: 'key',
    GEO_SECONDARY_AUTH: 'key',
    GEO_CLIENT_AUTH: 'token',
    GEO_KEY_FILE: sites.keys.keyFile,
    GEO_TOKEN_REALM: sites.tokens.realm,
    GEO_TOKEN_ISSUER: 'omnibus-gitlab-issuer',
    GEO_TOKEN_SERVICE: 'container_registry',
    GEO_TOKEN_KEY_ID: 'libtrust',
    GEO_SITE_NAME: 'here',
    GEO_DATA_DIR: join(scratch.path, 'data'),
    GEO_REPLICATION: 'on',
    GEO_EVENTS_TOKEN: expect.stringMatching(/^[\w-]{43}$/),
  });
  // A comment before each variable.
  expect(text.split('\n').filter((line, index, all) => /^\w/.test(line) && !/^# ./.test(all[index - 1]!))).toEqual([]);
  expect(read('notifications.yml')).toContain(`Authorization: ['${parseEnv(text)['GEO_EVENTS_TOKEN']}']`);
  expect(read('notifications.yml')).toContain(`url: ${PUBLIC}/api/v4/container_registry_event/events`);
  // The secret is in files only.
  expect(stdout).not.toContain(parseEnv(text)['GEO_EVENTS_TOKEN']);
});

test('run again it has the answers of before, keeps what it does not know, and replaces nothing unless told', async () => {
  const copy = join(temporaryDirectory(), 'copy');
  cpSync(out, copy, { recursive: true });
  const before = FILES.map((name) => read(name, copy));
  const again = await init('--out', copy, '--read-only');
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(again.stdout.match(/^unchanged: /gm)).toHaveLength(4);
  expect(FILES.map((name) => read(name, copy))).toEqual(before);

  const mine = `${before[0]}GEO_SPOOL_MAX=1GiB\nHTTPS_PROXY='http://proxy.example.com:3128/#x'\n`;
  writeFileSync(join(copy, 'proxy.env'), mine);
  const other = ['--out', copy, '--read-only', '--site', 'other'];
  expect(await init(...other)).toMatchObject({
    code: 1,
    stderr: `geo-registry-proxy: ${join(copy, 'proxy.env')}: already there with other content, nothing was written; give --force to replace, or another --out\n`,
  });
  expect(read('proxy.env', copy)).toBe(mine);
  const forced = await init(...other, '--force');
  expect(forced).toMatchObject({ code: 0, stderr: '' });
  expect(forced.stdout).toContain(`replaced: ${join(copy, 'proxy.env')}`);
  expect(parseEnv(read('proxy.env', copy))).toEqual({ ...parseEnv(mine), GEO_SITE_NAME: 'other' });
});

test('serve with the proxy.env that was written pulls an image through', async () => {
  const pushed = image('pulled');
  await pushImage(sites.primaryTarget('group/pulled'), 'v1', pushed);
  start(['--', entry, '--env-file', join(out, 'proxy.env'), 'serve']);
  const base = `http://${env['GEO_LISTEN']}/v2/`;
  const headers = { authorization: `Bearer ${sites.pullToken('group/pulled')}`, accept: '*/*' };
  const get = (path: string): Promise<Response> => fetch(`${base}${path}`, { headers });
  await waitFor(async () => (await get('')).status === 200, { what: 'the proxy to answer' });
  const manifest = await get('group/pulled/manifests/v1');
  expect(Buffer.from(await manifest.arrayBuffer())).toEqual(pushed.bytes);
  for (const { digest, size } of pushed.blobs) {
    const answer = await get(`group/pulled/blobs/${digest}`);
    expect({ status: answer.status, size: (await answer.arrayBuffer()).byteLength }).toEqual({ status: 200, size });
  }
  expect((await fetch(base)).headers.get('www-authenticate')).toContain(`realm="${sites.tokens.realm}"`);
});

test('nginx takes the site, and systemd the unit', async () => {
  const site = read('registry.conf');
  expect(site).toContain(`server ${env['GEO_LISTEN']};`);
  expect(site).not.toMatch(/registry\.secondary\.example\.com|To edit/);
  // Ports that only root may have, and addresses that a machine may not have.
  const listening = site
    .replace('listen 443 ssl', `listen 127.0.0.1:${await freePort()} ssl`)
    .replace('listen 80;', `listen 127.0.0.1:${await freePort()};`)
    .replaceAll(/ *listen \[::\].*\n/g, '');
  const dir = temporaryDirectory();
  writeFileSync(join(dir, 'site.conf'), listening);
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(dir, name));
  const temps = ['fastcgi', 'uwsgi', 'scgi', 'proxy'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
  const http = `access_log off; client_body_temp_path ${dir}/body; ${temps} include ${dir}/site.conf;`;
  writeFileSync(join(dir, 'nginx.conf'), `pid ${dir}/pid; error_log stderr; events {} http { ${http} }`);
  const tried = await runTool(toolPath('nginx'), ['-t', '-c', join(dir, 'nginx.conf'), '-e', 'stderr']);
  expect(tried.stderr).toContain('test is successful');

  const unit = read('geo-registry-proxy.service');
  expect(unit).toContain(`ExecStart=${process.execPath} -- ${entry} serve`);
  expect(unit).toContain(`ReadWritePaths=${join(scratch.path, 'data')}`);
  const verified = spawnSync('systemd-analyze', ['verify', join(out, 'geo-registry-proxy.service')], {
    encoding: 'utf8',
  });
  // Where systemd is installed; it tells of this machine's own units, too.
  if (!verified.error) expect(verified.stderr.split('\n').filter((line) => line.includes('geo-registry'))).toEqual([]);
});

test('without a terminal each missing answer is a line that names its option', async () => {
  const { code, stdout, stderr } = await init('--out', temporaryDirectory());
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr.trim().split('\n')).toEqual(
    ['--primary <url>', '--secondary <url>', '--url <url>'].map((flag) =>
      expect.stringMatching(new RegExp(`^geo-registry-proxy: ${flag}: missing: `)),
    ),
  );
  const keyless = await init(...places(), '--out', temporaryDirectory());
  expect(keyless).toMatchObject({ code: 2, stdout: '' });
  expect(keyless.stderr.trim().split('\n')).toEqual(
    ['primary', 'secondary'].map((name) =>
      expect.stringMatching(
        new RegExp(
          `--key <file>: missing: the ${name} registry, \\S+, asks for a token of ${sites.tokens.realm}: give the`,
        ),
      ),
    ),
  );
});

test('a wrong answer is told with what answers there, and nothing is written', async () => {
  const elsewhere = join(temporaryDirectory(), 'site');
  const args = ['--primary', `http://127.0.0.1:${await freePort()}`, '--secondary', sites.tokens.url, '--url', 'here'];
  const { code, stderr } = await init(...args, '--out', elsewhere);
  expect(code).toBe(2);
  expect(stderr.trim().split('\n')).toEqual([
    expect.stringMatching(/--primary <url>: \S+ cannot be reached: ECONNREFUSED; nothing listens there/),
    expect.stringMatching(/--secondary <url>: what answers at \S+ is no registry: status 404 for \/v2\//),
    expect.stringMatching(/--url <url>: "here" has no scheme; allowed: /),
  ]);
  const moved = await startDouble({
    'GET /v2/': { status: 301, headers: { location: 'https://here.example.com/v2/' } },
  });
  const redirected = await init('--primary', moved.origin, '--out', elsewhere);
  expect(redirected.stderr).toContain(
    `${moved.href} redirects to https://here.example.com/v2/: give the registry's own`,
  );
  const otherKey = await init(...places(), '--key', tls.keyFile, '--out', elsewhere);
  expect(otherKey.code).toBe(2);
  expect(otherKey.stderr).toMatch(
    /^geo-registry-proxy: --key <file>: no registry accepts tokens of \S+: .* give --issuer/,
  );
  expect(() => statSync(elsewhere)).toThrow('ENOENT');
});

test('open registries, the primary GitLab’s: nothing to log in with, and the block for gitlab.rb', async () => {
  const local = await startRegistry({ name: 'open' });
  onTestFinished(() => local.close());
  const headers = {
    'docker-distribution-api-version': 'registry/2.0',
    'gitlab-container-registry-version': '4.39.0-gitlab',
    'gitlab-container-registry-database-enabled': 'true',
  };
  const gitlab = await startDouble({ 'GET /v2/': { status: 200, headers, body: {} } });
  const elsewhere = temporaryDirectory();
  const args = ['--primary', gitlab.origin, '--secondary', local.url, '--url', PUBLIC, '--out', elsewhere];
  const { code, stdout, stderr } = await init(...args, '--data-dir', join(elsewhere, 'data'));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(
    "GitLab's registry with its metadata database, 4.39.0-gitlab; it does not list its repositories",
  );
  const text = read('proxy.env', elsewhere);
  const none = { GEO_PRIMARY_AUTH: 'none', GEO_SECONDARY_AUTH: 'none', GEO_CLIENT_AUTH: 'none' };
  expect(parseEnv(text)).toMatchObject(none);
  expect(text).not.toMatch(/GEO_TOKEN|GEO_KEY_FILE/);
  expect(text).toContain('\n#GEO_REPOSITORIES_FILE=');
  expect(read('notifications.rb', elsewhere)).toContain(parseEnv(text)['GEO_EVENTS_TOKEN']);
});

test('a primary that is zot has its block in JSON, with the secret', async () => {
  const local = await startRegistry({ name: 'open' });
  onTestFinished(() => local.close());
  const zot = await startDouble({
    'GET /v2/': { status: 200, body: {} },
    'GET /v2/_zot/ext/mgmt': { status: 200, body: { distSpecVersion: '1.1.1', releaseTag: 'v2.1.20' } },
  });
  const elsewhere = temporaryDirectory();
  const args = ['--primary', zot.origin, '--secondary', local.url, '--url', PUBLIC, '--out', elsewhere];
  const { code, stdout } = await init(...args, '--data-dir', join(elsewhere, 'data'));
  expect(code).toBe(0);
  expect(stdout).toContain('notifications.json holds the secret');
  const { extensions } = JSON.parse(read('notifications.json', elsewhere)) as {
    extensions: { events: { sinks: unknown[] } };
  };
  expect(extensions.events.sinks).toMatchObject([
    {
      address: `${PUBLIC}/api/v4/container_registry_event/events`,
      headers: { Authorization: parseEnv(read('proxy.env', elsewhere))['GEO_EVENTS_TOKEN'] },
    },
  ]);
});

test('a password of docker login is used where it is asked for; who clients are has to be said then', async () => {
  const local = await startRegistry({ name: 'open' });
  onTestFinished(() => local.close());
  const auth = Buffer.from('alice:s3cret').toString('base64');
  const primary = await startDouble({
    'GET /v2/': ({ headers }) =>
      headers.authorization === `Basic ${auth}`
        ? { status: 200, body: {} }
        : { ...ociError(401, 'UNAUTHORIZED'), headers: { 'www-authenticate': 'Basic realm="zot"' } },
  });
  const [home, elsewhere] = [temporaryDirectory(), temporaryDirectory()];
  const args = ['init', '--primary', primary.origin, '--secondary', local.url, '--url', PUBLIC, '--out', elsewhere];
  const rest = ['--data-dir', join(elsewhere, 'data'), '--read-only'];
  const login = { ...env, DOCKER_CONFIG: home };
  expect(await run([...args, ...rest], login)).toMatchObject({
    code: 2,
    stderr: `geo-registry-proxy: --primary-auth <how>: the primary registry, ${primary.origin}, asks for a password: run docker login ${primary.host} first\n`,
  });
  writeFileSync(join(home, 'config.json'), JSON.stringify({ auths: { [primary.host]: { auth } } }));
  const unsaid = await run([...args, ...rest], login);
  expect(unsaid.stderr).toMatch(/^geo-registry-proxy: --clients <how>: missing: /);
  expect(await run([...args, ...rest, '--clients', 'none'], login)).toMatchObject({ code: 0, stderr: '' });
  expect(parseEnv(read('proxy.env', elsewhere))).toMatchObject({
    GEO_PRIMARY_AUTH: 'docker-config',
    GEO_CLIENT_AUTH: 'none',
  });
});

test('Ctrl-C at a question ends it with 130, and nothing is written', async () => {
  const elsewhere = join(temporaryDirectory(), 'site');
  const terminal = startOnTerminal(['init', '--out', elsewhere], env);
  await terminal.shown("The primary registry's URL");
  terminal.type('\u0003');
  expect((await terminal.ended).code).toBe(130);
  expect(() => statSync(elsewhere)).toThrow('ENOENT');
});

test('at a terminal it asks, says what is wrong at once, and asks again', async () => {
  const elsewhere = join(temporaryDirectory(), 'site');
  const args = ['--data-dir', '/dev/null/data', '--out', elsewhere, '--read-only'];
  const terminal = startOnTerminal(['init', ...args], env);
  await terminal.shown("The primary registry's URL");
  terminal.type(sites.tokens.url);
  await terminal.shown('is no registry: status 404');
  // Ctrl-U: the line is emptied.
  terminal.type(`\u0015${sites.relay.url}`);
  await terminal.shown("The local registry's URL");
  terminal.type(sites.localRelay.url);
  await terminal.shown('The URL that clients pull from');
  terminal.type(PUBLIC);
  await terminal.shown("This site's name");
  terminal.type('');
  await terminal.shown('The private key that the registries trust');
  terminal.type(tls.keyFile);
  await terminal.shown('no registry accepts tokens of');
  terminal.type(`\u0015${sites.keys.keyFile}`);
  await terminal.shown('The token service that clients are sent to');
  terminal.type('');
  const { code, shown } = await terminal.ended;
  expect({ code, shown }).toMatchObject({ code: 0, shown: expect.stringContaining('Next, as root:') });
  // Only the proxy's user can make it.
  expect(shown).not.toContain('data-directory');
  expect(parseEnv(read('proxy.env', elsewhere))).toMatchObject({
    GEO_PRIMARY_URL: sites.relay.url,
    GEO_TOKEN_REALM: sites.tokens.realm,
  });
});
