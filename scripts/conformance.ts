// The specification's own conformance suites, against the primary registry itself and against the same through the proxy: once by
// one URL (nginx sends writes to the primary and reads to the proxy), and once for reading alone at the proxy. Run by
// `npm run conformance`; needs Go, or the programs of the suites in CONFORMANCE and CONFORMANCE_1_1. Registries as for
// `npm run interop`. Exit code 1 where less passes through the proxy and no reason is known.
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
// The commit of the specification's tag v1.1.1; the module has no tags of its own.
const VERSION_1_1 = 'v0.0.0-20250123160558-a139cc423184';

/** What a suite is run against. */
interface Tried {
  readonly host: string;
  readonly tls: 'disabled' | 'insecure';
  /** Two repositories that it may write to, or what it reads. */
  readonly content: { readonly repositories: readonly [string, string] } | { readonly read: ReadContent };
}

interface ReadContent {
  readonly repository: string;
  readonly tag: string;
  readonly manifest: string;
  readonly blobs: readonly string[];
}

interface Suite {
  readonly name: string;
  readonly program: string;
  /** Its environment, but for credentials; it is to leave its report in `dir`. */
  env(tried: Tried, dir: string): Readonly<Record<string, string>>;
}

async function needGo(variable: string): Promise<void> {
  const { code } = await run('go', ['version']).catch(() => ({ code: 1 }));
  if (code !== 0) throw new Error(`go is not in PATH: install it, or name the program of the suite in ${variable}`);
}

/** The newer suite's program: the one that is named, or built by Go. */
async function newerProgram(dir: string): Promise<string> {
  const named = process.env['CONFORMANCE'];
  if (named) return named;
  await needGo('CONFORMANCE');
  await runOrThrow('go', ['install', `${MODULE}@${VERSION}`], { env: { GOBIN: dir }, timeout: 600_000 });
  return join(dir, 'conformance');
}

/** The program of 1.1.1, which is a package of tests: the one that is named, or built by Go. */
async function program11(dir: string): Promise<string> {
  const named = process.env['CONFORMANCE_1_1'];
  if (named) return named;
  await needGo('CONFORMANCE_1_1');
  const { stdout } = await run('go', ['mod', 'download', '-json', `${MODULE}@${VERSION_1_1}`], { timeout: 600_000 });
  const { Dir: cwd, Error: reason } = JSON.parse(stdout) as { Dir?: string; Error?: string };
  if (cwd === undefined) throw new Error(reason ?? 'Go has no such module');
  const path = join(dir, 'conformance-1.1.1');
  await runOrThrow('go', ['test', '-c', '-o', path, '.'], { cwd, timeout: 600_000 });
  return path;
}

const newerEnv: Suite['env'] = ({ host, tls, content }, dir) => {
  const where = { OCI_REGISTRY: host, OCI_TLS: tls, OCI_LOG: 'error', OCI_RESULTS_DIR: dir };
  if ('repositories' in content) {
    const [one, two] = content.repositories;
    return { ...where, OCI_REPO1: one, OCI_REPO2: two };
  }
  const { repository, tag, manifest, blobs } = content.read;
  const off = ['API_PUSH', 'API_BLOBS_DELETE', 'API_MANIFESTS_DELETE', 'API_TAGS_DELETE'];
  return {
    ...where,
    ...Object.fromEntries(off.map((name) => [`OCI_${name}`, 'false'])),
    OCI_REPO1: repository,
    OCI_RO_DATA_TAGS: tag,
    OCI_RO_DATA_MANIFESTS: manifest,
    OCI_RO_DATA_BLOBS: blobs.join(' '),
  };
};

const env11: Suite['env'] = ({ host, tls, content }, dir) => {
  const where = { OCI_ROOT_URL: `${tls === 'disabled' ? 'http' : 'https'}://${host}`, OCI_REPORT_DIR: dir };
  if ('repositories' in content) {
    const [one, two] = content.repositories;
    const workflows = ['PULL', 'PUSH', 'CONTENT_DISCOVERY', 'CONTENT_MANAGEMENT'];
    const on = workflows.map((name) => [`OCI_TEST_${name}`, '1']);
    return { ...where, ...Object.fromEntries(on), OCI_NAMESPACE: one, OCI_CROSSMOUNT_NAMESPACE: two };
  }
  const { repository, tag, manifest, blobs } = content.read;
  return {
    ...where,
    OCI_TEST_PULL: '1',
    OCI_NAMESPACE: repository,
    OCI_TAG_NAME: tag,
    OCI_MANIFEST_DIGEST: manifest,
    OCI_BLOB_DIGEST: blobs[0]!,
  };
};

/** The suites that can be had; the others are named with why not. */
async function findSuites(dir: string): Promise<Suite[]> {
  const candidates = [
    { name: `newer suite (${VERSION})`, program: newerProgram, env: newerEnv },
    { name: 'suite of 1.1.1', program: program11, env: env11 },
  ];
  const suites: Suite[] = [];
  for (const { name, program, env } of candidates) {
    try {
      suites.push({ name, program: await program(dir), env });
    } catch (error) {
      console.log(`not tried: ${name}: ${(error as Error).message}`);
    }
  }
  return suites;
}

/** How many of the cases of one name ended how. */
type Results = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** From the report in JUnit's form: `<testcase name="…" … status="passed">`. */
function resultsIn(report: string): Results {
  const results = new Map<string, Map<string, number>>();
  for (const [, name, word] of report.matchAll(/<testcase name="([^"]*)"[^>]* status="([^"]*)"/g)) {
    const status = word === 'failed' ? 'failure' : word;
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

async function results({ caFile }: OneUrl, suite: Suite, tried: Tried): Promise<Results> {
  await using scratch = await tempDir();
  const dir = scratch.path;
  const login = { OCI_USERNAME: dev.user, OCI_PASSWORD: dev.password, SSL_CERT_FILE: caFile };
  const env = { ...login, ...suite.env(tried, dir) };
  const { stdout, stderr } = await run(suite.program, [], { cwd: dir, timeout: 600_000, env });
  const report = join(dir, 'junit.xml');
  if (existsSync(report)) return resultsIn(await readFile(report, 'utf8'));
  // Where it must not write it stops while it writes this report, after it has printed what came of it.
  const printed = printedResults(stdout + stderr);
  if (printed.size === 0) throw new Error(`the suite made no report: ${stderr}${stdout}`.slice(-2_000));
  return printed;
}

/** Cases that ask for a blob that was deleted at the primary: the secondary keeps it until its garbage collection. */
const KNOWN = /deleted blob URL should yield 404|GET request to blob URL from prior request should yield 200 or 404/;

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
    const isLess = now < before && !KNOWN.test(name);
    console.log(
      `  ${isLess ? '!' : ' '} ${name.replace(/^[^/]*\//, '')}: ${before} passed at the primary, ${now} by the proxy`,
    );
    if (isLess) isWhole = false;
  }
  return isWhole;
}

/** What a suite reads where it must not write. */
async function readContent({ site }: OneUrl): Promise<ReadContent> {
  const repository = 'conformance/read';
  const pushed = image('conformance');
  await pushImage(site.primaryTarget(repository), 'v1', pushed);
  return { repository, tag: 'v1', manifest: pushed.digest, blobs: pushed.blobs.map(({ digest }) => digest) };
}

function writable(kind: string): Tried['content'] {
  return { repositories: [`conformance/${kind}1`, `conformance/${kind}2`] };
}

/** A suite against one kind of registry on both sites; false where less passes through the proxy. */
async function trySuite(suite: Suite, { name, program, version }: RegistryKind): Promise<boolean> {
  console.log(`\n${name} ${version}, ${suite.name}`);
  const url = await startOneUrl({ realm: 'localhost', program });
  const primary = { host: new URL(url.site.primary.url).host, tls: 'disabled' } as const;
  const tryAt = (tried: Tried): Promise<Results> => results(url, suite, tried);
  try {
    const base = await tryAt({ ...primary, content: writable('base') });
    const proxy = await tryAt({ host: url.host, tls: 'insecure', content: writable('proxy') });
    const isWhole = compare('one URL: writes to the primary, reads by the proxy', base, proxy);
    const content = { read: await readContent(url) };
    const readBase = await tryAt({ ...primary, content });
    const readProxy = await tryAt({ host: new URL(url.site.proxy.url).host, tls: 'disabled', content });
    return compare('reads alone, at the proxy', readBase, readProxy) && isWhole;
  } finally {
    await url.close();
  }
}

await using tools = await tempDir();
const suites = await findSuites(tools.path);
if (suites.length === 0) process.exitCode = 1;
const { kinds, absent } = await findRegistries();
for (const suite of suites) for (const kind of kinds) if (!(await trySuite(suite, kind))) process.exitCode = 1;
if (absent.length > 0) console.log(`\nnot tried, since they are not here: ${absent.join(', ')}`);
