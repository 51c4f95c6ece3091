// The command `init`: from two URLs and a key to the files of a site that was looked at, and checked by doctor.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { inspectConfig } from '../config/config.ts';
import { writableDirectory } from '../config/directory.ts';
import { machine, WrongValue } from '../config/variable.ts';
import type { Answers, Values } from '../init/answers.ts';
import { findFacts, type Facts } from '../init/facts.ts';
import { readIn, stateOf, writeFiles, type PlannedFile } from '../init/files.ts';
import { FILES, OMNIBUS, planFiles } from '../init/plan.ts';
import { ownVariables, publicUrlIn } from '../init/proxy-env.ts';
import { tlsFilesIn } from '../init/site.ts';
import { omnibusTemplate, siteTemplate } from '../init/template.ts';
import { withSide, type SideName } from '../init/side.ts';
import { doctor } from './doctor.ts';
import { EXIT } from './exit-code.ts';
import { askAccess, sideOptions, type Access } from './init-access.ts';
import { createFlagAsker, createTerminalAsker } from './init-ask.ts';
import type { InitOptions } from './init-command.ts';
import { askPlaces, TIMEOUT, type Places, type Start } from './init-places.ts';
import { fileLines, foundLines, nextLines } from './init-report.ts';
import { say } from './output.ts';

// As commander ends on wrong usage.
const USAGE = 2;

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function startOf(options: InitOptions): Start {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true && !options.yes;
  const text = readIn(options.out, FILES.env) ?? '';
  const inFile = Object.entries(parseEnv(text)).filter((entry): entry is [string, string] => !!entry[1]);
  return {
    asker: isTerminal ? createTerminalAsker() : createFlagAsker(),
    options,
    earlier: { ...Object.fromEntries(inFile), ...ownVariables(process.env) },
    earlierUrl: publicUrlIn(text),
    earlierTls: tlsFilesIn(readIn(options.out, FILES.site) ?? ''),
  };
}

function factsOf(name: SideName, places: Places, access: Access, { readOnly }: InitOptions): Promise<Facts> {
  const isWritten = name === 'secondary' && !readOnly;
  return withSide(name, sideOptions(name, places, access), (registry) =>
    findFacts(registry, { timeout: TIMEOUT, isWritten }),
  );
}

/** GitLab's own replication cannot be seen from outside. */
async function replicationOf({ asker, options, earlier }: Start, { kind }: Facts): Promise<boolean> {
  const given = options.replication ?? earlier['GEO_REPLICATION'];
  if (given !== undefined) return given === 'on';
  if (kind.id !== 'gitlab') return true;
  return !(await asker.confirm("Does GitLab Geo's own container registry replication run on this site?", false));
}

async function answersOf(start: Start): Promise<Answers | undefined> {
  const places = await askPlaces(start);
  const access = places && (await askAccess(start, places));
  if (!access) return undefined;
  const [primary, secondary] = await Promise.all([
    factsOf('primary', places, access, start.options),
    factsOf('secondary', places, access, start.options),
  ]);
  const replication = await replicationOf(start, secondary);
  return {
    ...places,
    ...access,
    primaryUrl: places.primary.url,
    secondaryUrl: places.secondary.url,
    replication,
    primary,
    secondary,
  };
}

function readSecret(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Whether all may be written: nothing that is there is replaced unless told. */
async function mayWrite({ asker, options }: Start, files: readonly PlannedFile[]): Promise<boolean> {
  const others = files
    .filter((file) => stateOf(options.out, file) === 'differs')
    .map(({ name }) => join(options.out, name));
  if (others.length === 0 || options.force) return true;
  const names = others.join(', ');
  if (asker.isTerminal && (await asker.confirm(`Replace ${names}?`, false))) return true;
  say(`${names}: already there with other content, nothing was written; give --force to replace, or another --out`);
  return false;
}

/** Runs doctor with what was written; a data directory that only the proxy's user can write to is not checked. */
async function examine(env: Values, { readOnly }: InitOptions): Promise<number> {
  const trial = mkdtempSync(join(tmpdir(), 'geo-registry-proxy-init-'));
  try {
    const dataDir = isWritable(env['GEO_DATA_DIR'] ?? '') ? env['GEO_DATA_DIR'] : trial;
    const { config } = inspectConfig({ ...env, GEO_DATA_DIR: dataDir });
    const except = dataDir === trial ? ['data-directory'] : [];
    return await doctor(config, { except, ...(readOnly ? { readOnly } : {}) });
  } finally {
    rmSync(trial, { recursive: true, force: true });
  }
}

function isWritable(path: string): boolean {
  try {
    writableDirectory.parse(path, machine);
    return true;
  } catch (error) {
    if (error instanceof WrongValue) return false;
    throw error;
  }
}

async function run(options: InitOptions): Promise<number> {
  const start = startOf(options);
  const answers = await answersOf(start);
  if (!answers) {
    start.asker.problems.forEach(say);
    return USAGE;
  }
  print(foundLines(answers));
  const program = resolve(process.argv[1] ?? '');
  const deps = {
    node: process.execPath,
    program,
    template: siteTemplate(),
    omnibusTemplate: existsSync(OMNIBUS) ? omnibusTemplate() : undefined,
    readSecret,
  };
  const files = planFiles(answers, start.earlier, deps);
  if (!(await mayWrite(start, files))) return EXIT.failed;
  const states = files.map((file) => ({ file, state: stateOf(options.out, file) }));
  writeFiles(options.out, files);
  print(['', ...fileLines(options.out, states), '']);
  const code = await examine(parseEnv(readIn(options.out, FILES.env) ?? '') as Values, options);
  print(['', ...nextLines(options.out, answers, { files, program })]);
  return code;
}

/** Runs the dialogue, writes the files, runs the checks; answers the exit code. */
export async function init(options: InitOptions): Promise<number> {
  try {
    return await run(options);
  } catch (error) {
    // Ctrl-C at a question.
    if ((error as Error).name === 'ExitPromptError') return EXIT.interrupted;
    throw error;
  }
}
