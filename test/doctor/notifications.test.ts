// The block that doctor prints for Distribution, in a real registry.
import { readFile, writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { notificationsFor } from '../../src/doctor/notifications.ts';
import { openSqlite, temporaryFile } from '../replication/store/sqlite-files.ts';
import { startWebhook, token } from '../replication/webhook-rig.ts';
import { blob } from '../support/content.ts';
import { manifest } from '../support/image.ts';
import { startProcess, waitUntilReady } from '../support/process.ts';
import { pushImage } from '../support/push.ts';
import { startRegistry } from '../support/registry.ts';
import { toolPath, waitFor } from '../support/tool.ts';

test('Distribution loads its block, and a push comes to the webhook', async () => {
  const store = await openSqlite(temporaryFile());
  const { url } = await startWebhook({ rows: store });
  const registry = await startRegistry({ name: 'primary' });
  onTestFinished(() => registry.close());
  await registry.stop();
  const printed = notificationsFor(new URL(url)).distribution;
  const { notifications: _none, ...rest } = JSON.parse(await readFile(registry.configFile, 'utf8')) as object & {
    notifications?: unknown;
  };
  // Each value of JSON is YAML.
  const others = Object.entries(rest).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`);
  const block = printed.replace('<the value of GEO_EVENTS_TOKEN>', token).replace(/url: .*/, `url: ${url}`);
  const file = `${registry.configFile}.yml`;
  await writeFile(file, `${others.join('')}${block}`);
  const server = startProcess(toolPath('docker-registry'), ['serve', file]);
  onTestFinished(async () => void (await server.stop()));
  await waitUntilReady(server, async () => (await fetch(`${registry.url}/v2/`)).ok, 'the registry');
  await pushImage({ url: registry.url, repository: 'group/project' }, 'v1', manifest({ layers: [blob(10, 'event')] }));
  await waitFor(() => store.find('group/project', 'v1'), { what: 'the event' });
  // Neither blobs nor pulls are sent.
  expect((await store.list({ repository: 'group/project' })).map(({ reference }) => reference)).toEqual(['v1']);
});
