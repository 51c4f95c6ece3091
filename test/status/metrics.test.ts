import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMetrics } from '../../src/status/metrics.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';
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

const GEO = 'geo_container_repositories';

function geoLines(text: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(GEO));
}

test('repositories are counted under the names that GitLab has', async () => {
  const counts = { '': 1, _registry: 1, _synced: 0, _failed: 1, _verified: 0, _verification_failed: 0 };
  const { text } = await askAdmin(site, '/metrics');
  const expected = Object.entries(counts).map(([name, count]) => `${GEO}${name}{site="test"} ${count}`);
  expect(geoLines(text)).toEqual(expect.arrayContaining(expected));
});

async function exposedOf(replication: Partial<Snapshot['replication']>): Promise<string> {
  const snapshot = await statusOf(site);
  const { body } = await createMetrics('test').expose({
    ...snapshot,
    replication: { ...snapshot.replication, ...replication },
  });
  return body;
}

test('each of GitLab’s names has its own count', async () => {
  const repositories = { known: 19, synced: 11, failed: 3, verified: 7, damaged: 2, verifiable: 13 };
  expect(geoLines(await exposedOf({ repositories })).toSorted()).toEqual([
    `${GEO}_checksum_failed{site="test"} 0`,
    `${GEO}_checksum_total{site="test"} 11`,
    `${GEO}_checksummed{site="test"} 11`,
    `${GEO}_failed{site="test"} 3`,
    `${GEO}_registry{site="test"} 19`,
    `${GEO}_synced{site="test"} 11`,
    `${GEO}_verification_failed{site="test"} 2`,
    `${GEO}_verification_total{site="test"} 13`,
    `${GEO}_verified{site="test"} 7`,
    `${GEO}{site="test"} 19`,
  ]);
});

test('where another system replicates, GitLab’s names are left to it', async () => {
  expect(geoLines(await exposedOf({ on: false }))).toEqual([]);
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
