import { afterAll, beforeAll, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { askAdmin, failed, order, restartWith, statusOf } from './admin.ts';

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
  await pushImage(site.primaryTarget('group/app'), '1.0', image('metrics'));
  await restartWith(site, [{ reference: 'broken', outcome: failed() }], { GEO_REPLICATION: 'on' });
  await order(site, 'backfill');
  await waitFor(async () => (await statusOf(site)).replication.tags.synced === 1, { what: 'the image' });
});
afterAll(() => site.close());

const SAMPLE = /^[a-zA-Z_:][\w:]*(\{([a-zA-Z_]\w*="(\\.|[^"\\])*",?)*\})? (-?[\d.]+(e[+-]?\d+)?|NaN|[+-]Inf)$/;

test('the exposition parses, and each name has one type', async () => {
  const { status, headers, text } = await askAdmin(site, '/metrics');
  expect(status).toBe(200);
  expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('# HELP '));
  const types = lines.filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' ')[2]);
  expect(new Set(types).size).toBe(types.length);
  expect(lines.filter((line) => !line.startsWith('# TYPE ') && !SAMPLE.test(line))).toEqual([]);
});

test('all that is ours is labelled with the site', async () => {
  const { text } = await askAdmin(site, '/metrics');
  const ours = text.split('\n').filter((line) => line.startsWith('geo_registry_'));
  expect(ours.length).toBeGreaterThan(30);
  expect(ours.filter((line) => !line.includes('site="test"'))).toEqual([]);
});

test('what the status tells is there as gauges', async () => {
  const gauges = [
    ['replication_tags', { state: 'synced' }, 1],
    ['replication_tags', { state: 'failed' }, 1],
    ['replication_tags', { state: 'unsupported' }, 0],
    ['replication_queue', { priority: 'backfill' }, 0],
    ['replication_lag_seconds', {}, 0],
    ['replication_damaged_blobs', {}, 0],
    ['replication_removals_held', {}, 0],
    ['replication_removals_last_day', {}, 0],
    ['replication_removals_limit', {}, 10],
    ['replication_removals_suspended', {}, 0],
    ['replication_malformed_events', {}, 0],
    ['replication_worker_running', {}, 0],
    ['replication_paused', {}, 0],
    ['replication_run_running', { kind: 'backfill' }, 0],
    ['replication_run_failed', { kind: 'backfill' }, 0],
    ['replication_run_repositories_done', { kind: 'backfill' }, 1],
  ] as const;
  const { text } = await askAdmin(site, '/metrics');
  for (const [name] of gauges) expect(text).toContain(`# TYPE geo_registry_${name} gauge`);
  const read = await Promise.all(gauges.map(([name, labels]) => site.metric(name, labels)));
  expect(read).toEqual(gauges.map(([, , value]) => value));
  expect(await site.metric('replication_bytes')).toBe((await statusOf(site)).replication.bytes);
});
