// `npm run bench`: starts all that it needs, measures, prints one table (or `--json`), and says what misses its limit.
import { styleText } from 'node:util';
import { startSites } from '../test/support/sites.ts';
import { tempDir } from '../test/support/tool.ts';
import { buildShipped } from './bench/proxy-process.ts';
import { firstByte, memory, startup, type Figure } from './bench/figures.ts';

function row({ name, value, limit, unit, runs }: Figure): string {
  const shown = `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`;
  const verdict = limit === undefined ? '' : value <= limit ? styleText('green', 'ok') : styleText('red', 'MISSED');
  const allowed = limit === undefined ? '' : `<= ${limit} ${unit}`;
  return `${name.padEnd(52)} ${shown.padStart(12)}  ${allowed.padEnd(14)} ${String(runs).padStart(4)}  ${verdict}`;
}

async function measure(only: string | undefined): Promise<Figure[]> {
  await using shipped = await tempDir();
  const bin = await buildShipped(shipped.path);
  const sites = await startSites();
  try {
    const figures: Figure[] = [];
    for (const part of [startup, firstByte, memory]) {
      if (only !== undefined && part.name !== only) continue;
      process.stderr.write(`measuring ${part.name} …\n`);
      figures.push(...(await part(sites, bin)));
    }
    return figures;
  } finally {
    await sites.close();
  }
}

const args = process.argv.slice(2);
const figures = await measure(args.find((arg) => !arg.startsWith('-')));
if (args.includes('--json')) console.log(JSON.stringify(figures, undefined, 2));
else {
  console.log(`${'figure'.padEnd(52)} ${'median'.padStart(12)}  ${'limit'.padEnd(14)} ${'runs'.padStart(4)}`);
  for (const figure of figures) console.log(row(figure));
}
