// Registries that are there and hang: found out by one time-out and a probe, and waited for by no other pull.
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import type { RelayMatch } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';
import { calm, pushToBoth } from './local-copy.ts';
import { notPing } from './trouble.ts';

let site: ProxySite;
const pushed = image('hang');
const [config] = pushed.blobs;
const name = 'hang/proj';

beforeAll(async () => {
  site = await startProxySite();
  await pushToBoth(site, name, 'v1', pushed);
});
afterEach(async () => {
  for (const { pid } of [site.primary, site.secondary]) process.kill(pid, 'SIGCONT');
  await calm(site);
});
afterAll(() => site.close());

/** Stops a process, and comes back when each of its threads stands: on a busy machine one may answer yet. */
async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const states = async (): Promise<string[]> => {
    const threads = await readdir(`/proc/${pid}/task`);
    const texts = await Promise.all(threads.map((id) => readFile(`/proc/${pid}/task/${id}/stat`, 'utf8')));
    return texts.map((text) => text.slice(text.lastIndexOf(')') + 2)[0]!);
  };
  await waitFor(async () => (await states()).every((state) => state === 'T'), { what: 'the registry to stand still' });
}

const open = (registry: string): Promise<number> => site.metric('breaker_open', { registry });

/** As Docker pulls: HEAD, then GET; whether both were answered from here, with a warning. */
async function pull(): Promise<boolean> {
  const answers = [
    await site.ask(`${name}/manifests/v1`, { method: 'HEAD' }),
    await site.ask(`${name}/manifests/v1`, { method: 'GET' }),
  ];
  return answers.every(({ status, headers }) => status === 200 && headers['warning']?.startsWith('299 '));
}

test('of ten pulls of an image that is here two requests wait for a primary that is stopped', async () => {
  await freeze(site.primary.pid);
  for (let times = 0; times < 10; times += 1) expect(await pull()).toBe(true);
  // The first came in vain, the second was ended when the probe did as well.
  expect(site.relay.count(notPing)).toBe(2);
  expect(await open('primary')).toBe(1);
  process.kill(site.primary.pid, 'SIGCONT');
  await waitFor(async () => (await open('primary')) === 0, { what: 'the breaker to close' });
  expect((await site.ask(`${name}/manifests/v1`)).headers['warning']).toBeUndefined();
});

const isAsked: RelayMatch = ({ path }) => path.includes('/manifests/');

test('of a tag that is not here the GET after a HEAD does not wait again, and tells which registry does not answer', async () => {
  await freeze(site.primary.pid);
  expect((await site.ask(`${name}/manifests/none`, { method: 'HEAD' })).status).toBe(503);
  await waitFor(async () => (await open('primary')) === 1, { what: 'the breaker to open', timeout: 10_000 });
  const asked = site.relay.count(isAsked);
  const { status, body } = await site.ask(`${name}/manifests/none`);
  expect({ status, asked: site.relay.count(isAsked) }).toEqual({ status: 503, asked });
  const text = body.toString();
  expect(text).toContain(`the primary registry at ${new URL(site.relay.url).host}`);
  expect(text).toMatch(/since \d\d:\d\d|since \d{4}-/);
});

test('clients that wait when the breaker opens have the local copy then', async () => {
  await freeze(site.primary.pid);
  const first = site.ask(`${name}/manifests/v1`);
  await waitFor(() => site.relay.count(notPing) === 1, { what: 'the first to be asked' });
  await waitFor(() => site.relay.count(({ path }) => path === '/v2/') > 0, { what: 'the probe' });
  const others = ['HEAD', 'GET', 'HEAD', 'GET'].map((method) =>
    site.ask(`${name}/manifests/v1`, { method: method as 'GET' | 'HEAD' }),
  );
  for (const { status, headers } of await Promise.all([first, ...others])) {
    expect({ status, warns: 'warning' in headers }).toEqual({ status: 200, warns: true });
  }
  expect(await open('primary')).toBe(1);
});

test('one tag that is slow at the primary keeps others neither from it nor waiting', async () => {
  site.relay.rules.push({ match: ({ path }) => path.endsWith('/manifests/odd'), hang: true });
  const odd = site.ask(`${name}/manifests/odd`);
  await waitFor(() => site.relay.count(({ path }) => path === '/v2/') > 0, { what: 'the probe', timeout: 10_000 });
  expect((await odd).status).toBe(503);
  for (let times = 0; times < 5; times += 1) {
    expect((await site.ask(`${name}/manifests/v1`)).headers['warning']).toBeUndefined();
  }
  expect(await open('primary')).toBe(0);
});

const isBlob: RelayMatch = ({ method, path }) => method === 'GET' && path.includes('/blobs/');

test('of ten pulls of a blob two wait for a secondary that is stopped: the primary serves', async () => {
  await freeze(site.secondary.pid);
  for (let times = 0; times < 10; times += 1) {
    expect((await site.ask(`${name}/blobs/${config!.digest}`)).status).toBe(200);
  }
  await waitFor(async () => (await open('secondary')) === 1, { what: 'the breaker to open' });
  expect(site.localRelay.count(isBlob)).toBeLessThanOrEqual(2);
});

test('whoever asks whether a registry answers finds out that it hangs, without a pull', async () => {
  await freeze(site.primary.pid);
  const answer = await fetch(`${site.proxy.adminUrl}/readyz`);
  expect(await answer.text()).toBe('degraded\nthe primary registry does not answer\n');
  await waitFor(async () => (await open('primary')) === 1, { what: 'the breaker to open', timeout: 10_000 });
  expect(await pull()).toBe(true);
  expect(site.relay.count(notPing)).toBe(0);
});
