// The specification's own conformance suite, against the primary registry itself and against the same through the proxy: once by one
// URL (nginx sends writes to the primary and reads to the proxy), and once for reading alone at the proxy. Run by
// `npm run conformance`; needs Go, or the suite's program in CONFORMANCE. Registries as for `npm run interop`. Exit code 1 where less passes through the proxy.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { image } from '../test/support/image.ts';
import { pushImage } from '../test/support/push.ts';
import { run, runOrThrow, tempDir } from '../test/support/tool.ts';
import { dev, startOneUrl, type OneUrl } from './one-url.ts';
import { findRegistries, type RegistryKind } from './registry-kinds.ts';

const MODULE = 'github.com/opencontainers/distribution-spec/conformance';
const VERSION = process.env['CONFORMANCE_VERSION'] ?? 'v0.0.0-20260831232431-97274622c111';

/** The suite's program: the one that is named, or built by Go. */
async function program(dir: string): Promise<string> {
  const named = process.env['CONFORMANCE'];
  if (named) return named;
  const { code } = await run('go', ['version']).catch(() => ({ code: 1 }));
  if (code !== 0) throw new Error('go is not in PATH: install it, or name the program of the suite in CONFORMANCE');
  await runOrThrow('go', ['install', `${MODULE}@${VERSION}`], { env: { GOBIN: dir }, timeout: 600_000 });
  return join(dir, 'conformance');
}

/** How many of the cases of one name ended how. */
type Results = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** From the report in JUnit's form: `<testcase name="…" … status="passed">`. */
function resultsIn(report: string): Results {
  const results = new Map<string, Map<string, number>>();
  for (const [, name, status] of report.matchAll(/<testcase name="([^"]*)"[^>]* status="([^"]*)"/g)) {
    const counts = results.get(name!) ?? new Map<string, number>();
    results.set(name!, counts.set(status!, (counts.get(status!) ?? 0) + 1));
  }
  return results;
}

const STATUS: Readonly<Record<string, string>> = { Pass: 'passed', FAIL: 'failure', Skip: 'skipped' };

/** From what it prints, a line for each API and kind of data: `  Tag listing....: Pass`. */
function printedResults(text: string): Results {
  const results = new Map<string, Map<string, number>>();
  for (const [, name, word] of text.matchAll(/^ {2}([A-Z][^.:\n]*)\.+: +([A-Z]\w+)$/gim)) {
    const status = STATUS[word!];
    if (status !== undefined) results.set(name!, new Map([[status, 1]]));
  }
  return results;
}

const total = (results: Results, status: string): number =>
  [...results.values()].reduce((sum, counts) => sum + (counts.get(status) ?? 0), 0);

const passed = (results: Results, name: string): number => results.get(name)?.get('passed') ?? 0;

interface Run {
  readonly suite: string;
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
}

async function results({ suite, dir, env }: Run): Promise<Results> {
  const { stdout, stderr } = await run(suite, [], {
    cwd: dir,
    timeout: 600_000,
    env: { ...env, OCI_RESULTS_DIR: dir },
  });
  const report = join(dir, 'junit.xml');
  if (existsSync(report)) return resultsIn(await readFile(report, 'utf8'));
  // Where it must not write it stops while it writes this report, after it has printed what came of it.
  const printed = printedResults(stdout + stderr);
  if (printed.size === 0) throw new Error(`the suite made no report: ${stderr}${stdout}`.slice(-2_000));
  return printed;
}

/** Prints both in a line each, and the names where they differ; false where one passes less often through the proxy. */
function compare(what: string, base: Results, proxy: Results): boolean {
  console.log(`\n${what}`);
  for (const [name, one] of [
    ['primary itself', base],
    ['by the proxy', proxy],
  ] as const) {
    console.log(
      `  ${name.padEnd(15)} ${total(one, 'passed')} passed, ${total(one, 'failure')} failed, ${total(one, 'skipped')} skipped`,
    );
  }
  let isWhole = total(proxy, 'passed') > 0;
  for (const name of new Set([...base.keys(), ...proxy.keys()])) {
    const [before, now] = [passed(base, name), passed(proxy, name)];
    if (before === now) continue;
    console.log(
      `  ${now < before ? '!' : ' '} ${name.replace(/^[^/]*\//, '')}: ${before} passed at the primary, ${now} by the proxy`,
    );
    if (now < before) isWhole = false;
  }
  return isWhole;
}

interface Tried {
  readonly host: string;
  readonly tls: 'disabled' | 'insecure';
  readonly env?: Readonly<Record<string, string>>;
}

async function tryAt({ caFile }: OneUrl, suite: string, { host, tls, env }: Tried): Promise<Results> {
  await using scratch = await tempDir();
  const login = { OCI_USERNAME: dev.user, OCI_PASSWORD: dev.password, SSL_CERT_FILE: caFile };
  const where = { OCI_REGISTRY: host, OCI_TLS: tls, OCI_LOG: 'error' };
  return results({ suite, dir: scratch.path, env: { ...login, ...where, ...env } });
}

/** What the suite reads where it must not write. */
async function readOnly({ site }: OneUrl): Promise<Record<string, string>> {
  const repository = 'conformance/read';
  const pushed = image('conformance');
  await pushImage(site.primaryTarget(repository), 'v1', pushed);
  const off = ['API_PUSH', 'API_BLOBS_DELETE', 'API_MANIFESTS_DELETE', 'API_TAGS_DELETE'].map((name) => [
    `OCI_${name}`,
    'false',
  ]);
  return {
    ...Object.fromEntries(off),
    OCI_REPO1: repository,
    OCI_RO_DATA_TAGS: 'v1',
    OCI_RO_DATA_MANIFESTS: pushed.digest,
    OCI_RO_DATA_BLOBS: pushed.blobs.map(({ digest }) => digest).join(' '),
  };
}

function repositories(kind: string): Record<string, string> {
  return { OCI_REPO1: `conformance/${kind}1`, OCI_REPO2: `conformance/${kind}2` };
}

/** The suite against one kind of registry on both sites; false where less passes through the proxy. */
async function tryKind({ name, program: registry, version }: RegistryKind, suite: string): Promise<boolean> {
  console.log(`\n${name}: ${version}`);
  const url = await startOneUrl({ realm: 'localhost', program: registry });
  try {
    const primary: Tried = { host: new URL(url.site.primary.url).host, tls: 'disabled' };
    const base = await tryAt(url, suite, { ...primary, env: repositories('base') });
    const proxy = await tryAt(url, suite, { host: url.host, tls: 'insecure', env: repositories('proxy') });
    const isWhole = compare('one URL: writes to the primary, reads by the proxy', base, proxy);
    const env = await readOnly(url);
    const readBase = await tryAt(url, suite, { ...primary, env });
    const readProxy = await tryAt(url, suite, { host: new URL(url.site.proxy.url).host, tls: 'disabled', env });
    return compare('reads alone, at the proxy', readBase, readProxy) && isWhole;
  } finally {
    await url.close();
  }
}

await using tools = await tempDir();
const suite = await program(tools.path);
console.log(`${MODULE} ${VERSION}`);
const { kinds, absent } = await findRegistries();
for (const kind of kinds) if (!(await tryKind(kind, suite))) process.exitCode = 1;
if (absent.length > 0) console.log(`\nnot tried, since they are not here: ${absent.join(', ')}`);
