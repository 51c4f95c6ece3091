// What is told at the start: once that it listens, and of each registry what it says of itself, or what to do about it.
import { afterEach, expect, test } from 'vitest';
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

test.each([
  {
    what: 'a wrong issuer',
    env: { GEO_TOKEN_ISSUER: 'another' },
    says: /primary registry refuses our key/,
    advice: /GEO_TOKEN_ISSUER/,
  },
  {
    what: 'https for http',
    env: 'https' as const,
    says: /primary registry cannot be reached/,
    advice: /http instead of https/,
  },
])('$what is told with the advice', async ({ env, says, advice }) => {
  site = await startProxySite({
    env: async (sites) => (env === 'https' ? { GEO_PRIMARY_URL: sites.relay.url.replace('http:', 'https:') } : env),
  });
  expect(await lineOf(says)).toMatchObject({ level: 40, advice: expect.stringMatching(advice) });
});
