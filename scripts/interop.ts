// One list of checks for each pair of registries that is found here, primary and secondary: run by `npm run interop`. Registries
// are `docker-registry` (2.8, of the set-up), Distribution 3 (DISTRIBUTION3, or `registry` in PATH; of its Go module) and
// GitLab's (GITLAB_REGISTRY; of its Go module, with files). What is not there is named. Exit code 1 where a check fails.
import { join } from 'node:path';
import { EVENTS_TOKEN, interopChecks } from './interop-checks.ts';
import { startProxySite } from '../test/support/proxy.ts';
import type { RegistrySettings } from '../test/support/registry.ts';
import { freePort } from '../test/support/tool.ts';
import { findRegistries, type RegistryKind } from './registry-kinds.ts';

function settings({ program }: RegistryKind): RegistrySettings {
  return { program, deleteEnabled: true };
}

/** What came of a check, as its cell shows it; with why, where it did not pass. */
interface Result {
  readonly cell: 'ok' | 'n/a' | 'FAILED';
  readonly text: string;
}

async function resultOf(checked: Promise<string | void>): Promise<Result> {
  try {
    const text = await checked;
    return text === undefined ? { cell: 'ok', text: '' } : { cell: 'n/a', text };
  } catch (error) {
    return { cell: 'FAILED', text: error instanceof Error ? error.message : String(error) };
  }
}

/** What came of the checks of a pair, by their names. */
async function tryPair(primary: RegistryKind, secondary: RegistryKind): Promise<Map<string, Result>> {
  const port = await freePort();
  const notifications = {
    url: `http://127.0.0.1:${port}${join('/api/v4', 'container_registry_event/events')}`,
    headers: { Authorization: [EVENTS_TOKEN] },
  };
  const site = await startProxySite({
    x5c: true,
    primary: { ...settings(primary), notifications },
    secondary: settings(secondary),
    env: {
      GEO_LISTEN: `127.0.0.1:${port}`,
      GEO_REPLICATION: 'on',
      GEO_EVENTS_TOKEN: EVENTS_TOKEN,
      GEO_RECONCILE_INTERVAL: '1h',
    },
  });
  const results = new Map<string, Result>();
  try {
    for (const [name, check] of Object.entries(interopChecks)) results.set(name, await resultOf(check(site)));
  } finally {
    await site.close();
  }
  return results;
}

async function main(): Promise<number> {
  const { kinds, absent } = await findRegistries();
  for (const { name, version } of kinds) console.log(`${name}: ${version}`);
  if (absent.length > 0) console.log(`not tried, since they are not here: ${absent.join(', ')}`);
  const pairs = kinds.flatMap((primary) => kinds.map((secondary) => [primary, secondary] as const));
  const columns: { title: string; results: Map<string, Result> }[] = [];
  for (const [primary, secondary] of pairs) {
    const title = `${primary.name} -> ${secondary.name}`;
    process.stderr.write(`${title} …\n`);
    columns.push({ title, results: await tryPair(primary, secondary) });
  }
  console.log(`\n| check | ${columns.map(({ title }) => title).join(' | ')} |`);
  console.log(`|---${'|---'.repeat(columns.length)}|`);
  for (const name of Object.keys(interopChecks)) {
    const cells = columns.map(({ results }) => results.get(name)?.cell);
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
  const all = columns.flatMap(({ title, results }) =>
    [...results].map(([name, result]) => ({ title, name, ...result })),
  );
  for (const { title, name, cell, text } of all) if (cell !== 'ok') console.log(`${title}: ${name}: ${cell}: ${text}`);
  return all.some(({ cell }) => cell === 'FAILED') ? 1 : 0;
}

process.exit(await main());
