// The command `config`: what the proxy would run with.
import type { Config, Setting } from '../config/config.ts';
import type { Origins } from './env-file.ts';
import { warn } from './output.ts';
import { createStyle, table } from './terminal.ts';

/**
 * Prints the settings as a table or as JSON (null where there is no value), or only that they are right; `origins` are
 * the places of what `--env-file` added.
 */
export function printConfig(
  { config, settings }: { config: Config; settings: readonly Setting[] },
  { json, check }: { json?: true; check?: true },
  origins: Origins = new Map(),
): void {
  config.warnings.forEach(warn);
  process.stdout.write(`${check ? 'configuration is ok' : json ? asJson(settings) : asTable(settings, origins)}\n`);
}

function asJson(settings: readonly Setting[]): string {
  return JSON.stringify(Object.fromEntries(settings.map(({ name, value }) => [name, value ?? null])), null, 2);
}

/** Where a value came from: `default`, `environment`, `geo.env:3`, or the file of `<name>_FILE` and where that stands. */
function sourceText({ name, source, file }: Setting, origins: Origins): string {
  if (source === 'default') return 'default';
  if (source === 'environment') return origins.get(name) ?? 'environment';
  return `${file} (${name}_FILE, ${origins.get(`${name}_FILE`) ?? 'environment'})`;
}

function asTable(settings: readonly Setting[], origins: Origins): string {
  const style = createStyle(process.stdout);
  const rows = settings.map((setting) => {
    const isSet = setting.source !== 'default';
    const source = sourceText(setting, origins);
    return [setting.name, setting.value || '-', isSet ? source : style.dim(source)];
  });
  return table(rows).join('\n');
}
