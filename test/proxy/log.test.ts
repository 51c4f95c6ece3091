// One line of the log for each pull, which answers who pulled what, from where, how much, how fast, and why it failed.
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { startProxySite, type Asking, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { repositoryAccess } from '../support/token.ts';
import { waitFor } from '../support/tool.ts';
import { calm, pushToBoth } from './local-copy.ts';
import { answering, notPing } from './trouble.ts';
import { dial } from './wire.ts';

const name = 'log/app';
const pushed = image('log');
const layer = blob(300_000, 'log layer');

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite({ env: { GEO_TRUSTED_PROXIES: '127.0.0.1' } });
  await pushImage(site.primaryTarget(name), '1.0', pushed);
});
afterEach(() => calm(site));
afterAll(() => site.close());

type Line = Record<string, unknown>;

const isAnswer = ({ msg }: Line): boolean => msg === 'answered';

/** The lines of what `act` asks for, when there is one; those with a stack trace are among them. */
async function linesOf(act: () => Promise<unknown>): Promise<readonly Line[]> {
  const before = site.log.length;
  await act();
  return waitFor(
    () => {
      const lines = site.log.slice(before);
      return lines.some(isAnswer) && lines.filter((line) => isAnswer(line) || 'err' in line);
    },
    { what: 'the line of the answer' },
  );
}

async function lineOf(path: string, asking?: Asking): Promise<Line> {
  const lines = await linesOf(() => site.ask(path, asking));
  expect(lines).toHaveLength(1);
  return lines[0]!;
}

const agent = 'docker/28.2.2 go/go1.24.3 git-commit/45873be os/linux arch/amd64 UpstreamClient(Docker-Client/28.2.2)';

test('a pull by tag is told with all that is known of it', async () => {
  const token = site.tokenFor([repositoryAccess(name, 'pull')], { claims: { sub: 'alice' } });
  const headers = { 'user-agent': agent, 'x-forwarded-for': '192.0.2.7' };
  expect(await lineOf(`${name}/manifests/1.0`, { token, headers })).toMatchObject({
    level: 30,
    method: 'GET',
    kind: 'manifest',
    repository: name,
    reference: '1.0',
    digest: pushed.digest,
    origin: 'primary',
    status: 200,
    bytes: pushed.bytes.length,
    ms: expect.any(Number),
    ttfb: expect.any(Number),
    user: 'alice',
    client: 'docker/28.2',
    address: '192.0.2.7',
  });
  expect(await lineOf(`${name}/manifests/1.0`, { token })).toMatchObject({ origin: 'memory' });
  expect(await lineOf(`${name}/manifests/${pushed.digest}`, { method: 'HEAD', token })).toMatchObject({
    method: 'HEAD',
    digest: pushed.digest,
    bytes: 0,
  });
});

describe('who pulls', () => {
  const access = [repositoryAccess(name, 'pull')];

  test('is whom GitLab names in its own claim', async () => {
    const info = { token_type: 'deploy_token', username: 'gitlab+deploy-token-7', deploy_token_id: 7 };
    const user = site.tokenFor([], { claims: { user_info: info } });
    const token = site.tokenFor(access, { claims: { user } });
    expect(await lineOf(`${name}/manifests/1.0`, { token })).toMatchObject({ user: 'gitlab+deploy-token-7' });
  });

  test.each(['not a token', 7, null, 'a.b.c'])('is the subject where that claim is %j', async (user) => {
    const token = site.tokenFor(access, { claims: { sub: 'bob', user } });
    expect(await lineOf(`${name}/manifests/1.0`, { token })).toMatchObject({ user: 'bob' });
  });
});

describe('bytes and origin of a blob', () => {
  test.each([
    { what: 'all of it', headers: {}, status: 200, bytes: 300_000 },
    { what: 'a part', headers: { range: 'bytes=10-99' }, status: 206, bytes: 90 },
  ])('$what, read through and from the local registry', async ({ headers, status, bytes }) => {
    const repository = `log/blob${status}`;
    await pushBlob(site.primaryTarget(repository), layer);
    const path = `${repository}/blobs/${layer.digest}`;
    expect(await lineOf(path, { headers })).toMatchObject({ origin: 'primary', status, bytes, digest: layer.digest });
    await pushBlob(site.secondaryTarget(repository), layer);
    expect(await lineOf(path, { headers })).toMatchObject({ origin: 'local', status, bytes });
  });

  test('of a client that leaves in the middle are those that went out, with the cause', async () => {
    const large = blob(8_000_000, 'log large');
    await pushBlob(site.primaryTarget('log/left'), large);
    const gate = createGate();
    site.relay.rules.push({ match: ({ path }) => path.includes(large.digest), holdAfter: 4_000_000, holdGate: gate });
    const lines = await linesOf(async () => {
      const socket = await dial(site.proxy.url);
      socket.write(
        `GET /v2/log/left/blobs/${large.digest} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${site.pullToken('log/left')}\r\n\r\n`,
      );
      await once(socket, 'data');
      socket.destroy();
    });
    gate.open();
    expect(lines).toEqual([
      expect.objectContaining({ status: 200, cause: 'the client left', origin: 'primary', address: '127.0.0.1' }),
    ]);
    expect(lines[0]!['bytes']).toBeGreaterThan(0);
    expect(lines[0]!['bytes']).toBeLessThan(8_000_000);
  });
});

describe('the cause', () => {
  test('of a local copy for want of the primary', async () => {
    await pushToBoth(site, 'log/stale', '1.0', image('stale'));
    await site.relay.down();
    const line = await lineOf('log/stale/manifests/1.0');
    expect(line).toMatchObject({ level: 30, status: 200, origin: 'stale', cause: expect.stringMatching(/^primary: /) });
    await site.relay.up();
  });

  test('of 503 is what was wrong with the registry, in the one line that there is', async () => {
    await site.relay.down();
    const line = await lineOf('log/none/manifests/1.0');
    expect(line).toMatchObject({ level: 40, status: 503, cause: expect.stringMatching(/primary/) });
    expect(line).not.toHaveProperty('err');
    await site.relay.up();
  });

  test.each([
    { what: 'a tag that is not there', path: `${name}/manifests/none`, asking: {}, cause: /no such/ },
    { what: 'a blob that is not there', path: `${name}/blobs/${layer.digest}`, asking: {}, cause: /no such blob/ },
    { what: 'a bad tag', path: `${name}/manifests/a*b`, asking: {}, cause: /neither a tag nor a digest/ },
    { what: 'a token for another repository', path: `${name}/tags/list`, asking: { other: true }, cause: /not allow/ },
    { what: 'a bad token', path: `${name}/tags/list`, asking: { token: 'a.b.c' }, cause: /^invalid token: malformed/ },
    { what: 'a push', path: `${name}/manifests/1.0`, asking: { method: 'PUT' as const }, cause: /a push/ },
  ])('of $what', async ({ path, asking, cause }) => {
    const { other, ...rest } = asking as Asking & { other?: boolean };
    const line = await lineOf(path, other ? { token: site.pullToken('log/other') } : rest);
    expect(line).toMatchObject({ level: 30, cause: expect.stringMatching(cause) });
  });

  test('of a refusal holds the words of the registry', async () => {
    site.relay.rules.push(answering(403, 'DENIED', { match: notPing }));
    expect(await lineOf(`log/denied/manifests/${pushed.digest}`)).toMatchObject({
      status: 403,
      cause: expect.stringMatching(/refuses this repository.*DENIED/),
    });
  });
});

const host = (): string => new URL(site.relay.url).host;

async function messageOf(path: string): Promise<string | undefined> {
  const { body } = await site.ask(path);
  return (JSON.parse(body.toString()) as { errors: { message: string }[] }).errors[0]?.message;
}

describe('the message to the client', () => {
  test('of a tag that is not there names tag, repository and primary', async () => {
    expect(await messageOf(`${name}/manifests/v9`)).toBe(`no such tag "v9" in ${name} at ${host()}`);
  });

  test.each(['manifests', 'blobs'])('of a digest that is not among the %s names it, too', async (noun) => {
    const { digest } = blob('nowhere');
    const what = noun === 'blobs' ? 'blob' : 'manifest';
    expect(await messageOf(`${name}/${noun}/${digest}`)).toBe(`no such ${what} ${digest} in ${name} at ${host()}`);
  });

  test('of a repository that is not there names it', async () => {
    expect(await messageOf('log/nowhere/tags/list')).toBe(`no such repository log/nowhere at ${host()}`);
  });

  test('of 503 says which registry does not answer, and since when', async () => {
    await site.relay.down();
    const first = await messageOf('log/none/manifests/1.0');
    expect(first).toMatch(
      /^not here, and the primary registry at \S+ cannot be asked now: no answer since [\d-]+T[\d:]+Z$/,
    );
    expect(first).toContain(host());
    // The same moment, however often it is asked.
    expect(await messageOf(`${name}/blobs/${blob('none').digest}`)).toBe(first);
    await site.relay.up();
  });
});

test('how every log-in begins is no line of interest', async () => {
  expect(await lineOf(`${name}/manifests/1.0`, { token: '' })).toMatchObject({ level: 20, status: 401 });
});

test.each(['/healthz', '/readyz', '/metrics', '/api/status', '/nowhere'])(
  'the administration’s %s is told of at debug',
  async (path) => {
    const lines = await linesOf(() => fetch(`${site.proxy.adminUrl}${path}`));
    expect(lines).toEqual([expect.objectContaining({ level: 20, path })]);
  },
);
