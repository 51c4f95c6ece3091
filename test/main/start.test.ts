// What is told at the start: once that it listens, and of each registry what it says of itself, or what to do about it.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { createSiteKeys } from '../support/keys.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { waitFor } from '../support/tool.ts';

let site: ProxySite;
afterEach(() => site.close());

async function lineOf(text: RegExp): Promise<Record<string, unknown>> {
  return waitFor(() => site.log.find(({ msg }) => text.test(String(msg))), { what: `a line ${text.source}` });
}

test('one line says that it listens, and with what; each registry has one of its own', async () => {
  site = await startProxySite();
  await lineOf(/^the secondary registry answers/);
  await lineOf(/^the primary registry answers/);
  expect(site.log.filter(({ msg }) => /listening/i.test(String(msg)))).toEqual([
    expect.objectContaining({
      msg: 'listening',
      version: expect.stringMatching(/^\d/),
      url: site.proxy.url,
      adminUrl: site.proxy.adminUrl,
      key: expect.stringMatching(/^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/),
      delivery: 'stream',
      replication: 'off',
      webhook: 'off',
    }),
  ]);
  expect(await lineOf(/^the primary registry/)).toMatchObject({ url: site.relay.url, about: 'registry/2.0' });
});

/** A server that speaks TLS with a certificate that nobody trusts. */
async function startTls(): Promise<{ readonly port: number; close(): Promise<unknown> }> {
  const keys = await createSiteKeys({ kind: 'ec', hosts: ['127.0.0.1'] });
  const server = createServer({ key: await readFile(keys.keyFile), cert: keys.certPem }, (_request, response) => {
    response.end('{}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = async (): Promise<void> => {
    server.close().closeAllConnections();
    await keys.remove();
  };
  return { port: (server.address() as AddressInfo).port, close };
}

test.each([
  {
    what: 'a wrong issuer',
    env: { GEO_TOKEN_ISSUER: 'another' },
    says: /primary registry refuses our key/,
    advice: /GEO_TOKEN_ISSUER/,
  },
  {
    what: 'another realm',
    env: { GEO_TOKEN_REALM: 'https://gitlab.example.com/jwt/auth' },
    says: /the local registry sends clients to http:.*, GEO_TOKEN_REALM is https:/,
    advice: /^set GEO_TOKEN_REALM to http:/,
  },
  {
    what: 'another service',
    env: { GEO_TOKEN_SERVICE: 'another' },
    says: /the local registry names the service "container_registry"/,
    advice: /^set GEO_TOKEN_SERVICE to "container_registry"/,
  },
])('$what is told with the advice', async ({ env, says, advice }) => {
  site = await startProxySite({ env });
  expect(await lineOf(says)).toMatchObject({ level: 40, advice: expect.stringMatching(advice) });
});

test('https for http, http for https, and a certificate that is not trusted are told with the advice', async () => {
  const tls = await startTls();
  onTestFinished(() => void tls.close());
  const https = `https://127.0.0.1:${tls.port}`;
  site = await startProxySite({
    env: async (sites) => ({ GEO_PRIMARY_URL: sites.relay.url.replace('http:', 'https:') }),
  });
  const unreached = /^the primary registry cannot be reached/;
  expect(await lineOf(unreached)).toMatchObject({ advice: expect.stringContaining('http instead of https') });
  site.log.length = 0;
  await site.restart({ GEO_PRIMARY_URL: https });
  expect(await lineOf(unreached)).toMatchObject({ advice: expect.stringContaining('GEO_CA_FILE') });
  site.log.length = 0;
  await site.restart({ GEO_PRIMARY_URL: https.replace('https:', 'http:') });
  expect(await lineOf(/^the primary registry cannot be reached|no registry$/)).toMatchObject({
    advice: expect.stringContaining('https instead of http'),
  });
});

test('a start that fails leaves nothing running: the next one has the data directory and the port', async () => {
  site = await startProxySite();
  const { url } = site.proxy;
  const { host } = new URL(url);
  const taken = new URL(site.relay.url).host;
  await expect(site.restart({ GEO_LISTEN: host, GEO_ADMIN_LISTEN: taken })).rejects.toThrow('EADDRINUSE');
  await site.restart({ GEO_LISTEN: host });
  expect(site.proxy.url).toBe(url);
});
