// `/readyz` tells of all that is wrong, and not of the registries alone.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { startProxy } from '../../src/main.ts';
import { WEBHOOK_PATH } from '../../src/replication/webhook.ts';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { smallDisk } from '../support/small-disk.ts';
import { waitFor } from '../support/tool.ts';

const secret = 'notification-secret';
let site: ProxySite;
afterEach(() => site.close());

async function start(env: Record<string, string> = {}): Promise<void> {
  site = await startProxySite({ env: { GEO_REPLICATION: 'on', GEO_EVENTS_TOKEN: secret, ...env } });
  await untilReady('ok');
}

async function readiness(): Promise<string> {
  const response = await fetch(`${site.proxy.adminUrl}/readyz`);
  return `${response.status} ${(await response.text()).trimEnd()}`;
}

const untilReady = (text: string): Promise<true> =>
  waitFor(async () => (await readiness()) === `200 ${text}`, { what: `"${text}"`, timeout: 20_000 });

/** Sends the push of a tag; the status of the answer. */
async function send(tag: string): Promise<number> {
  const { status, body } = await fetch(site.proxy.url + WEBHOOK_PATH, {
    method: 'POST',
    headers: { authorization: secret },
    body: JSON.stringify({ events: [{ action: 'push', target: { repository: 'group/project', tag } }] }),
  });
  await body?.cancel();
  return status;
}

/** Fills a disk to its last byte; gives the file. */
function fill(directory: string): string {
  const ballast = join(directory, 'ballast');
  for (let size = 1_048_576; size >= 1; size /= 2) {
    try {
      for (;;) writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' });
    } catch {
      // Less may fit.
    }
  }
  return ballast;
}

test('events that cannot be stored are told of, until something can be', async () => {
  const disk = smallDisk();
  await start({ GEO_DATA_DIR: join(disk, 'data') });
  expect(await send('before')).toBe(200);
  const ballast = fill(disk);
  // What the journal has room for still goes in.
  await waitFor(async () => (await send('full')) === 503, { what: 'an event to be refused', timeout: 20_000 });
  const reason = 'events cannot be stored: the database cannot be used: database or disk is full';
  expect(await readiness()).toBe(`200 degraded\n${reason}`);
  // Claims of nothing, which change nothing, are no proof.
  for (let times = 0; times < 3; times += 1) expect(await readiness()).toContain(reason);
  await rm(ballast);
  await untilReady('ok');
  expect(await send('after')).toBe(200);
});

test('a spool that cannot be written is told of, until it can be', async () => {
  const disk = smallDisk();
  await start({ GEO_DATA_DIR: join(disk, 'data') });
  const layer = blob(300_000, 'spool');
  await pushBlob(site.primaryTarget('group/project'), layer);
  const ballast = fill(disk);
  const { status, body } = await site.ask(`group/project/blobs/${layer.digest}`);
  expect({ status, isWhole: body.equals(layer.bytes) }).toEqual({ status: 200, isWhole: true });
  expect(await readiness()).toMatch(/^200 degraded\n[^]*blobs pass without the spool: ENOSPC/);
  await rm(ballast);
  await untilReady('ok');
});

test('an emptied data directory is told of, no event is lost in it, and no second process begins there', async () => {
  await start();
  expect(await send('before')).toBe(200);
  const env = { ...site.env(), GEO_REPLICATION: 'on' };
  for (const name of readdirSync(site.dataDir)) await rm(join(site.dataDir, name), { recursive: true });
  expect(await send('lost')).toBe(503);
  const lost = `the content of ${site.dataDir} was removed or replaced while it was in use: restart the proxy`;
  expect(await readiness()).toContain(`200 degraded\n${lost}\nevents cannot be stored: `);
  await waitFor(() => site.log.some(({ reason }) => reason === lost), { what: 'the log to tell' });
  await expect(startProxy(loadConfig(env))).rejects.toThrow('GEO_DATA_DIR: another process uses');
  await site.restart();
  await untilReady('ok');
  expect(await send('after')).toBe(200);
});

test('a database whose journal alone was removed takes no event', async () => {
  await start();
  await rm(join(site.dataDir, 'state.db-wal'));
  expect(await send('lost')).toBe(503);
  expect(await readiness()).toContain('state.db-wal was removed or replaced while it was in use: restart the proxy');
});

test('a data directory that is put back is used again', async () => {
  await start();
  await rename(site.dataDir, `${site.dataDir}.away`);
  await mkdir(site.dataDir);
  expect(await send('lost')).toBe(503);
  await rm(site.dataDir, { recursive: true });
  await rename(`${site.dataDir}.away`, site.dataDir);
  await untilReady('ok');
  expect(await send('after')).toBe(200);
});

test('a pause of replication is told of with its reason', async () => {
  await start();
  site.localRelay.rules.push({ match: ({ method }) => method === 'POST', answer: { status: 405 } });
  await pushImage(site.primaryTarget('group/project'), 'v1', image('pause'));
  expect(await send('v1')).toBe(200);
  await untilReady('degraded\nreplication pauses: the secondary takes no writes');
});

test('keys that cannot be read again are told of, and so are new ones', async () => {
  await start();
  const { keyFile } = site.keys;
  await rename(keyFile, `${keyFile}.away`);
  await writeFile(keyFile, 'no key');
  site.proxy.reload();
  expect(await readiness()).toMatch(/^200 degraded\n.*no private key.*; the keys that were read before stay in use$/);
  await rename(`${keyFile}.away`, keyFile);
  site.proxy.reload();
  expect(await readiness()).toBe('200 ok');
});
