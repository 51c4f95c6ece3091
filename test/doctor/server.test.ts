// What is wrong with the running server, and with the ways that lead to it.
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { startRelay } from '../support/relay.ts';
import { freePort } from '../support/tool.ts';
import { examine, told } from './examine.ts';

const token = { GEO_EVENTS_TOKEN: 'a secret of ours' };

let site: ProxySite;
let env: Record<string, string>;
beforeAll(async () => {
  const own = { GEO_LISTEN: `127.0.0.1:${await freePort()}`, GEO_REPLICATION: 'on' };
  site = await startProxySite({ env: { ...own, ...token } });
  env = { ...site.env(), ...own };
});
afterAll(() => site.close());

test('a site without a webhook', async () => {
  const reports = await examine(env);
  expect(told(reports['webhook'])).toMatch(/^warning: GEO_EVENTS_TOKEN is not set.* doctor --notifications prints how/);
  expect(told(reports['public-webhook'])).toContain('skipped: see webhook');
  const off = await examine({ ...env, GEO_REPLICATION: 'off' });
  expect(told(off['webhook'])).toMatch(/^skipped: GEO_REPLICATION is off/);
});

test('both secrets are tried while one is replaced by the other', async () => {
  expect(told((await examine({ ...env, ...token }))['webhook'])).toMatch(/^ok: .* takes notifications/);
  const reports = await examine({ ...env, GEO_EVENTS_TOKEN: 'a secret of ours, a newer one' });
  expect(told(reports['webhook'])).toMatch(/^failed: .* answers 401 -> it was started with another GEO_EVENTS_TOKEN/);
});

test('a server that was started without the webhook', async () => {
  const other = await startProxySite({ env: { GEO_LISTEN: `127.0.0.1:${await freePort()}` } });
  onTestFinished(() => other.close());
  const reports = await examine({ ...env, ...token, GEO_LISTEN: new URL(other.proxy.url).host });
  expect(told(reports['webhook'])).toMatch(/^failed: .* answers 404 -> it was started without GEO_EVENTS_TOKEN/);
});

test('a public address that does not hand notifications on', async () => {
  const front = await startRelay({ target: site.proxy.url });
  onTestFinished(() => front.close());
  const url = new URL(front.url);
  expect(told((await examine({ ...env, ...token }, { url }))['public-webhook'])).toMatch(/^ok: /);
  front.rules.push({ answer: { status: 404 } });
  const reports = await examine({ ...env, ...token }, { url });
  expect(told(reports['public-webhook'])).toMatch(/^failed: .* answers 404 -> .*nginx does not hand \/api\/v4\//);
  await front.down();
  const down = await examine({ ...env, ...token }, { url });
  expect(told(down['public-webhook'])).toMatch(/^failed: .* \(--url\) cannot be reached: ECONNREFUSED/);
});

test('the secret is not sent over plain HTTP to another machine', async () => {
  const reports = await examine({ ...env, ...token }, { url: new URL('http://registry.example.com') });
  expect(told(reports['public-webhook'])).toMatch(/^failed: .* is not https: the secret would be sent in the clear/);
});

test('a registry URL that leads back to the proxy through another name', async () => {
  const front = await startRelay({ target: site.proxy.url });
  onTestFinished(() => front.close());
  const reports = await examine({ ...env, GEO_PRIMARY_URL: front.url });
  expect(told(reports['loop'])).toMatch(
    /^failed: GEO_PRIMARY_URL, http:.*, leads back to this proxy \(508\) -> give the primary registry's own address/,
  );
  expect(told(reports['primary'])).toContain('skipped: GEO_PRIMARY_URL leads back to this proxy, see loop');
});

test('a registry URL that is the listener itself, whether or not a server runs', async () => {
  const port = await freePort();
  const given = { ...env, GEO_LISTEN: `:${port}`, GEO_SECONDARY_URL: `http://localhost:${port}` };
  expect(told((await examine(given))['loop'])).toMatch(/^failed: GEO_SECONDARY_URL, .*, is GEO_LISTEN, /);
});
