// deploy/monitoring: the dashboard and the alert rules ask for metrics, labels and values that the program has.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMetrics } from '../../src/status/metrics.ts';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { waitFor } from '../support/tool.ts';
import { askAdmin, order, statusOf } from './admin.ts';

const folder = resolve(import.meta.dirname, '../../deploy/monitoring');
const alerts = readFileSync(`${folder}/alerts.yaml`, 'utf8');
const dashboard = JSON.parse(readFileSync(`${folder}/grafana-dashboard.json`, 'utf8')) as {
  panels: {
    title: string;
    type: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: { expr: string }[];
  }[];
};

/** The expressions of the rules; a folded one goes on in deeper lines. */
function alertExpressions(): string[] {
  return [...alerts.matchAll(/^ {8}expr: (?:>-\n((?: {10}.*\n)+)|(.+)\n)/gm)].map(([, folded, plain]) =>
    (folded ?? plain ?? '').trim().replace(/\s+/g, ' '),
  );
}

const expressions = (): string[] => [
  ...alertExpressions(),
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
];

/** Names of metrics and their selectors in an expression. */
function selectors(expression: string): { name: string; labels: string[] }[] {
  return [...expression.matchAll(/\b(geo_\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', inside = '']) => ({
    name,
    labels: [...inside.matchAll(/(\w+) *(?:=~|!=|!~|=)/g)].map(([, label = '']) => label),
  }));
}

/** Labels that an expression groups by. */
function grouped(expression: string): string[] {
  return [...expression.matchAll(/\bby *\(([^)]*)\)/g)].flatMap(([, inside = '']) =>
    inside.split(',').map((one) => one.trim()),
  );
}

let site: ProxySite;
/** Names of samples with the labels that they have. */
const known = new Map<string, Set<string>>();

beforeAll(async () => {
  site = await startProxySite();
  await pushImage(site.primaryTarget('group/app'), '1.0', image('monitoring'));
  await site.restart({ GEO_REPLICATION: 'on' });
  await order(site, 'backfill');
  await waitFor(async () => (await statusOf(site)).replication.tags.synced === 1, { what: 'the image' });
  await site.ask('group/app/manifests/1.0');
  await waitFor(
    async () =>
      (await site.metric('client_bytes_total', { origin: 'memory' })) > 0 ||
      (await site.ask('group/app/manifests/1.0'), false),
    { what: 'a pull that is counted' },
  );
  const { text } = await askAdmin(site, '/metrics');
  // What has not happened yet has no sample: the labels of counters are told by the metrics themselves.
  const all = createMetrics('test');
  all.meter('stale_answers_total', { reason: 'unavailable' });
  all.meter('digest_mismatches_total', { registry: 'primary' });
  all.meter('flights_total', { result: 'whole' });
  all.meter('events_total', { result: 'marked' });
  all.meter('event_requests_total', { result: 'refused' });
  const { body } = await all.expose(undefined);
  for (const [, name = '', inside = ''] of `${text}\n${body}`.matchAll(/^(\w+)\{(.*)\} \S+$/gm)) {
    const labels = known.get(name) ?? new Set();
    known.set(name, labels);
    for (const [, label = ''] of inside.matchAll(/(\w+)="/g)) labels.add(label);
  }
});
afterAll(() => site.close());

test('there is something to hold against the program', () => {
  expect(alertExpressions()).toHaveLength(alerts.match(/- alert: /g)!.length);
  expect(alertExpressions().length).toBeGreaterThan(10);
  expect(expressions().length).toBeGreaterThan(30);
});

test('each metric that is asked for exists, with the labels that select and group it', () => {
  const wrong = expressions().flatMap((expression) =>
    selectors(expression).flatMap(({ name, labels }) => {
      const has = known.get(name);
      if (!has) return [`${name}: no such metric`];
      return [...labels, ...grouped(expression)]
        .filter((label) => !has.has(label))
        .map((label) => `${name}: no label ${label}`);
    }),
  );
  expect(wrong).toEqual([]);
});

test.each([...alerts.matchAll(/\{\{ \$labels\.(\w+) \}\}/g)].map(([, label]) => label!))(
  'an alert that names the label %s groups by it',
  (label) => {
    const rules = alerts.split('- alert: ').filter((rule) => rule.includes(`$labels.${label} `));
    expect(rules.filter((rule) => !grouped(rule).includes(label))).toEqual([]);
  },
);

test('parentheses and quotes of expressions are closed', () => {
  const odd = expressions().filter((text) => {
    const count = (char: string): number => text.split(char).length - 1;
    return count('(') !== count(')') || count('{') !== count('}') || count('"') % 2 !== 0;
  });
  expect(odd).toEqual([]);
});

test('no panel of the dashboard lies on another one', () => {
  const taken = new Map<string, string>();
  for (const { title, gridPos } of dashboard.panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(taken.get(`${x} ${y}`), title).toBeUndefined();
        taken.set(`${x} ${y}`, title);
      }
    }
  }
});

test('histograms are cumulative, and end with all', async () => {
  const { text } = await askAdmin(site, '/metrics');
  const lines = [...text.matchAll(/^geo_registry_request_duration_seconds_(bucket|count)\{(.*)\} (\S+)$/gm)].filter(
    ([, , labels = '']) => labels.includes('kind="manifest"') && labels.includes('origin="memory"'),
  );
  const values = lines.map(([, , , value]) => Number(value));
  expect(values.length).toBe(18);
  expect(values).toEqual(values.toSorted((one, other) => one - other));
  expect(lines.at(-2)?.[2]).toContain('le="+Inf"');
  expect(values.at(-1)).toBe(values.at(-2));
});
