// GEO_STORE=off and GEO_REPLICATION=off: whatever happens at the primary, nothing is removed here.
import { expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite } from '../support/proxy.ts';
import { deleteManifest, pushImage } from '../support/push.ts';
import { freePort, waitFor } from '../support/tool.ts';
import { digestAt } from './rig.ts';

const SECRET = 'Webhook-Secret-1';

test.each([
  { GEO_STORE: 'off', GEO_REPLICATION: 'on' },
  { GEO_STORE: 'on', GEO_REPLICATION: 'off' },
])('%j removes nothing: not by events, not by pulls, not by a walk at a start', async (env) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/api/v4/container_registry_event/events`;
  const site = await startProxySite({
    primary: { notifications: { url, headers: { Authorization: [SECRET] } } },
    env: { GEO_LISTEN: `127.0.0.1:${port}`, GEO_EVENTS_TOKEN: SECRET, GEO_RECONCILE_INTERVAL: '1s', ...env },
  });
  try {
    const pushed = image('off', { layers: 1 });
    await pushImage(site.secondaryTarget('group/app'), 'v1', pushed);
    await pushImage(site.secondaryTarget('group/app'), 'only-here', pushed);
    await pushImage(site.primaryTarget('group/app'), 'v1', pushed);
    await deleteManifest(site.primaryTarget('group/app'), pushed.digest);
    const hasEvents = async (): Promise<boolean> => (await site.metric('event_requests_total')) > 0;
    // Without replication there is no webhook.
    if (env.GEO_REPLICATION === 'on') await waitFor(hasEvents, { what: 'the events' });
    expect(await site.ask('group/app/manifests/v1')).toMatchObject({ status: 404 });
    await site.restart();
    expect(await site.ask('group/app/manifests/only-here')).toMatchObject({ status: 404 });
    const rows = `${site.proxy.adminUrl}/api/status`;
    const isIdle = async (): Promise<boolean> => {
      const { replication } = (await (await fetch(rows)).json()) as {
        replication: { tags: { pending: number; syncing: number; recheck: number } };
      };
      const { pending, syncing, recheck } = replication.tags;
      return pending + syncing + recheck === 0;
    };
    await waitFor(isIdle, { what: 'all rows to be worked on' });
    expect(site.localRelay.count(({ method }) => method !== 'GET' && method !== 'HEAD')).toBe(0);
    for (const tag of ['v1', 'only-here']) {
      expect(await digestAt(site.secondaryTarget('group/app'), tag)).toBe(pushed.digest);
    }
  } finally {
    await site.close();
  }
});
