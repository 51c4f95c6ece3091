// `npm run bench`: starts all that it needs, measures side by side, prints one table (or `--json`), and says what misses
// its limit. `npm run bench -- manifests events` measures those topics only; `--quick` tries the benchmark itself.
import { parseArgs } from 'node:util';
import { tempDir } from '../test/support/tool.ts';
import type { Bench, Topic } from './bench/bench.ts';
import { startLoad } from './bench/load.ts';
import { buildShipped } from './bench/proxy-process.ts';
import { forPrograms, headText, sectionText, summaryText, type Section } from './bench/table.ts';
import { topics } from './bench/topics.ts';

const RUNS = { full: { runs: 5, seconds: 2 }, quick: { runs: 1, seconds: 0.3 } } as const;

interface Options {
  readonly json: boolean;
  readonly quick: boolean;
  readonly wanted: readonly Topic[];
}

function usage(): string {
  const names = topics.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`);
  return ['npm run bench -- [--quick] [--json] [topic …]', '', ...names].join('\n');
}

/** @throws Error for what is no option or topic */
function readOptions(): Options {
  const options = { json: { type: 'boolean' }, quick: { type: 'boolean' }, help: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help) {
    console.log(usage());
    process.exit(0);
  }
  const unknown = positionals.find((wanted) => !topics.some(({ name }) => name === wanted));
  if (unknown !== undefined) throw new Error(`no topic ${JSON.stringify(unknown)}\n\n${usage()}`);
  const wanted = topics.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return { json: values.json ?? false, quick: values.quick ?? false, wanted };
}

async function measureAll({ json, quick, wanted }: Options): Promise<Section[]> {
  await using shipped = await tempDir();
  const bin = await buildShipped(shipped.path);
  const load = startLoad();
  const bench: Bench = { bin, load, isQuick: quick, ...RUNS[quick ? 'quick' : 'full'] };
  const sections: Section[] = [];
  try {
    for (const { name: topic, about, measure } of wanted) {
      process.stderr.write(`measuring ${topic} …\n`);
      const section = { topic, about, figures: await measure(bench) };
      sections.push(section);
      if (!json) console.log(`${sectionText(section)}\n`);
    }
  } finally {
    load.stop();
  }
  return sections;
}

async function main(): Promise<void> {
  const options = readOptions();
  const begin = performance.now();
  if (options.quick && !options.json)
    console.log('--quick: one short run each, smaller bodies: the figures say little\n');
  if (!options.json) console.log(headText());
  const sections = await measureAll(options);
  const seconds = Math.round((performance.now() - begin) / 1_000);
  const { quick } = options;
  if (options.json) console.log(JSON.stringify({ quick, seconds, sections: forPrograms(sections) }, undefined, 2));
  else console.log(`${summaryText(sections)}\n${seconds} s`);
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  // What a topic that failed has left running ends with us.
  process.exit(1);
});
