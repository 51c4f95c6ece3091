// The command `config`: what the proxy would run with.
import type { Config, Setting } from '../config/config.ts';
import { warn } from './output.ts';

/** Prints the settings as a table or as JSON (null where there is no value), or only that they are right. */
export function printConfig(
  { config, settings }: { config: Config; settings: readonly Setting[] },
  { json, check }: { json?: true; check?: true },
): void {
  config.warnings.forEach(warn);
  process.stdout.write(`${check ? 'configuration is ok' : json ? asJson(settings) : asTable(settings)}\n`);
}

function asJson(settings: readonly Setting[]): string {
  return JSON.stringify(Object.fromEntries(settings.map(({ name, value }) => [name, value ?? null])), null, 2);
}

function asTable(settings: readonly Setting[]): string {
  const rows = settings.map(({ name, value, source }) => [name, value || '-', source]);
  const [names = 0, values = 0] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(([name = '', value = '', source]) => `${name.padEnd(names)}  ${value.padEnd(values)}  ${source}`)
    .join('\n');
}
