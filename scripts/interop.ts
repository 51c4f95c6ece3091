// One list of checks for each pair of registries that is found here, primary and secondary: run by `npm run interop`. Registries
// are `docker-registry` (2.8, of the set-up), Distribution 3 (DISTRIBUTION3, or `registry` in PATH; of its Go module) and
// GitLab's (GITLAB_REGISTRY; of its Go module, with files). What is not there is named. Exit code 1 where a check fails.
import { join } from 'node:path';
import { interopChecks } from './interop-checks.ts';
import { startProxySite } from '../test/support/proxy.ts';
import type { RegistrySettings } from '../test/support/registry.ts';
import { freePort } from '../test/support/tool.ts';
import { findRegistries, type RegistryKind } from './registry-kinds.ts';

const EVENTS = 'a secret of the primary';

function settings({ program }: RegistryKind): RegistrySettings {
  return { program, deleteEnabled: true };
}

/** What came of the checks of a pair, by their names; an empty text for one that passed. */
async function tryPair(primary: RegistryKind, secondary: RegistryKind): Promise<Map<string, string>> {
  const port = await freePort();
  const notifications = {
    url: `http://127.0.0.1:${port}${join('/api/v4', 'container_registry_event/events')}`,
    headers: { Authorization: [EVENTS] },
  };
  const site = await startProxySite({
    x5c: true,
    primary: { ...settings(primary), notifications },
    secondary: settings(secondary),
    env: {
      GEO_LISTEN: `127.0.0.1:${port}`,
      GEO_REPLICATION: 'on',
      GEO_EVENTS_TOKEN: EVENTS,
      GEO_RECONCILE_INTERVAL: '1h',
    },
  });
  const results = new Map<string, string>();
  try {
    for (const [name, check] of Object.entries(interopChecks)) {
      const failure = await check(site).then(
        () => '',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      results.set(name, failure);
    }
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
  const columns: { title: string; results: Map<string, string> }[] = [];
  for (const [primary, secondary] of pairs) {
    const title = `${primary.name} -> ${secondary.name}`;
    process.stderr.write(`${title} …\n`);
    columns.push({ title, results: await tryPair(primary, secondary) });
  }
  console.log(`\n| check | ${columns.map(({ title }) => title).join(' | ')} |`);
  console.log(`|---${'|---'.repeat(columns.length)}|`);
  for (const name of Object.keys(interopChecks)) {
    const cells = columns.map(({ results }) => (results.get(name) === '' ? 'ok' : 'FAILED'));
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
  const failures = columns.flatMap(({ title, results }) =>
    [...results].filter(([, text]) => text !== '').map(([name, text]) => `${title}: ${name}: ${text}`),
  );
  for (const text of failures) console.log(text);
  return failures.length === 0 ? 0 : 1;
}

process.exit(await main());
