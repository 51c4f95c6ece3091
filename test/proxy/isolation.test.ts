// A token of one repository gives nothing of another, whatever the proxy holds: bytes are proved to belong where asked.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { repositoryAccess } from '../support/token.ts';
import { createGate } from '../support/relay-rule.ts';
import { calm, untilLocal } from './local-copy.ts';
import { waitFor } from '../support/tool.ts';

let site: ProxySite;
const secret = blob(40_000, 'secret');
const pushed = manifest({ layers: [secret] });
// Repositories that exist at the primary, and are readable for the spy, beside the one that holds the secret.
const theirs = 'team/secret';
const others = ['team', 'team/secret-2', 'team/secre', 'team/secret/sub', 'spy/own'];

beforeAll(async () => {
  site = await startProxySite();
  await pushImage(site.primaryTarget(theirs), 'v1', pushed);
  await Promise.all(others.map((name) => pushBlob(site.primaryTarget(name), blob(10, name))));
});
afterEach(() => calm(site));
afterAll(() => site.close());

const spy = (): string => site.tokenFor(others.map((name) => repositoryAccess(name, 'pull')));

async function expectNothing(): Promise<void> {
  for (const name of others) {
    for (const method of ['GET', 'HEAD'] as const) {
      for (const headers of [
        {},
        { range: 'bytes=0-9' },
        { 'if-none-match': `"${secret.digest}", "${pushed.digest}"` },
      ]) {
        for (const path of [`blobs/${secret.digest}`, `manifests/${pushed.digest}`, 'manifests/v1']) {
          const { status } = await site.ask(`${name}/${path}`, { method, token: spy(), headers });
          expect({ name, path, method, status }).toEqual({ name, path, method, status: 404 });
        }
      }
    }
  }
}

describe('the secret of another repository is 404', () => {
  test('while it is cold', expectNothing);

  test('while it is being filled, and after', async () => {
    const gate = createGate();
    site.relay.rules.push({
      match: ({ method, path }) => method === 'GET' && path.includes(`${theirs}/blobs/${secret.digest}`),
      holdAfter: 10_000,
      holdGate: gate,
    });
    const fill = site.ask(`${theirs}/blobs/${secret.digest}`);
    await waitFor(() => gate.arrived === 1, { what: 'the blob at the gate' });
    await expectNothing();
    gate.open();
    expect((await fill).body.equals(secret.bytes)).toBe(true);
    await expectNothing();
  });

  test('once its manifest is in memory and all of it is stored here', async () => {
    expect((await site.ask(`${theirs}/manifests/v1`)).status).toBe(200);
    await untilLocal(site, theirs, 'v1', pushed.digest);
    expect((await site.ask(`${theirs}/manifests/${pushed.digest}`)).status).toBe(200);
    expect((await site.ask(`${theirs}/blobs/${secret.digest}`)).status).toBe(200);
    await expectNothing();
  });

  test('while the primary cannot be asked it is at most not known', async () => {
    await site.relay.down();
    for (const name of others) {
      for (const path of [`blobs/${secret.digest}`, `manifests/${pushed.digest}`, 'manifests/v1']) {
        expect((await site.ask(`${name}/${path}`, { token: spy() })).status).toBe(503);
      }
    }
    expect((await site.ask(`${theirs}/blobs/${secret.digest}`)).status).toBe(200);
  });
});

test('its own readers are refused elsewhere before any registry is asked', async () => {
  for (const name of others) {
    const token = site.pullToken(theirs);
    expect((await site.ask(`${name}/blobs/${secret.digest}`, { token })).status).toBe(401);
  }
  expect(site.relay.count() + site.localRelay.count()).toBe(0);
});
