// Brings what a fresh clone lacks: the npm packages, and the Debian packages that the tests and the demo need.
// Plain JavaScript without dependencies, since it runs on the system's Node before anything is installed.
//
//   node scripts/setup.mjs [--tools=none|demo|test] [-- command …]
//
// The command after `--` runs on the Node of node_modules. Debian packages are unpacked into `.tools` of the clone:
// nothing is installed on the machine, no service starts, and no root is needed.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, rmSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { unpackTools, writeWrapper } from './debian-tools.mjs';

const root = resolve(import.meta.dirname, '..');
const modules = join(root, 'node_modules');
const binaries = join(modules, '.bin');
const node = join(binaries, 'node');
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * The Debian packages of each tool; `own` ones come into the clone even where the machine has some version of them.
 * `binary` is what runs where that is not the file in a `bin` directory; `fonts` are its only fonts.
 */
const demoTools = [
  { name: 'docker-registry', packages: ['docker-registry'], own: true },
  { name: 'busybox', packages: ['busybox-static'], own: true },
  { name: 'skopeo', packages: ['skopeo'] },
  { name: 'openssl', packages: ['openssl'] },
];
const testTools = [
  ...demoTools,
  { name: 'nginx', packages: ['nginx'] },
  { name: 'dockerd', packages: ['docker.io'] },
  { name: 'docker', packages: ['docker.io'] },
  { name: 'containerd', packages: ['containerd'] },
  { name: 'ctr', packages: ['containerd'] },
  { name: 'podman', packages: ['podman'] },
  { name: 'buildah', packages: ['buildah'] },
  {
    name: 'chromium',
    packages: ['chromium', 'fonts-inter', 'fonts-dejavu-core'],
    // Debian's /usr/bin/chromium is a script that reads and starts what is installed.
    binary: 'usr/lib/chromium/chromium',
    fonts: { 'system-ui': 'Inter', 'sans-serif': 'Inter', monospace: 'DejaVu Sans Mono' },
  },
];
const toolSets = { none: [], demo: demoTools, test: testTools };

function fail(message) {
  console.error(`set-up: ${message}`);
  process.exit(1);
}

/** PATH without this clone's own binaries, so that npm runs on the Node that is not about to be replaced. */
function systemPath() {
  const entries = (process.env.PATH ?? '').split(delimiter);
  return entries.filter((entry) => resolve(entry) !== binaries).join(delimiter);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isPresent(tool) {
  if (isExecutable(join(root, '.tools/bin', tool.name))) return true;
  const directories = [...systemPath().split(delimiter), ...systemDirectories];
  return !tool.own && directories.some((directory) => isExecutable(join(directory, tool.name)));
}

function readPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined;
}

/** Whether node_modules holds exactly the locked version of every package that is not optional. */
function modulesAreInPlace() {
  const installed = readPackages(join(modules, '.package-lock.json'));
  if (installed === undefined || !isExecutable(node)) return false;
  const lock = readPackages(join(root, 'package-lock.json'));
  // What the lock file no longer has would be found in the place of what it has.
  if (Object.keys(installed).some((path) => lock[path] === undefined)) return false;
  const wanted = Object.entries(lock);
  return wanted.every(([path, entry]) => {
    return path === '' || entry.optional || installed[path]?.integrity === entry.integrity;
  });
}

function installModules() {
  console.log('set-up: fetching the npm packages of package-lock.json into node_modules (npm ci, a minute or two)');
  const options = { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: systemPath() } };
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', ['ci', '--include=dev', '--include=optional', ...quiet], options);
  if (error !== undefined) fail(`npm could not be started (${error.message}): install Node 20 or later with npm`);
  if (status !== 0) fail('npm ci failed, see above: no npm registry reachable, or no space left?');
  if (!isExecutable(node)) {
    fail('the npm package "node" has no binary: its install script must be allowed (npm config ignore-scripts)');
  }
  ensureNodeRuns();
}

/** A small Debian lacks the one library beyond libc and libstdc++ that the npm package's Node is linked with. */
function ensureNodeRuns() {
  const firstTry = spawnSync(node, ['--version'], { encoding: 'utf8' });
  if (firstTry.status === 0) return;
  // Should anything fail below, the next run starts over rather than on a Node that does not run.
  rmSync(node);
  if (!firstTry.stderr.includes('libatomic')) fail(`the npm package "node" does not run: ${firstTry.stderr.trim()}`);
  bringPackages(['libatomic1'], []);
  writeWrapper({ file: node, tools: '../../.tools/root', binary: '../node/bin/node' });
}

function bringPackages(packages, tools) {
  try {
    unpackTools({ directory: join(root, '.tools'), packages, tools });
  } catch (error) {
    const names = packages.join(' ');
    fail(`${names} could not be had (${error.message}); install what is missing yourself: apt-get install ${names}`);
  }
}

function bringTools(tools) {
  const packages = [...new Set(tools.filter((tool) => !isPresent(tool)).flatMap((tool) => tool.packages))];
  if (packages.length === 0) return;
  bringPackages(
    packages,
    tools.filter((tool) => packages.includes(tool.packages[0])),
  );
}

/** The sources run as they are; the page that they serve is built, in less than a second, where it is not up to date. */
function ensurePage() {
  const { status } = spawnSync(node, [join(root, 'scripts/build-web.mjs'), '--if-stale'], { stdio: 'inherit' });
  if (status !== 0) fail('the status page could not be built, see above');
}

/** Runs the command in the foreground, hands signals on to it, and ends as it ends. */
function runCommand([command, ...args]) {
  const env = { ...process.env, PATH: [binaries, systemPath()].join(delimiter) };
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`${command}: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + osConstants.signals[signal]));
}

const ownArguments = process.argv.slice(2);
const border = ownArguments.indexOf('--');
const command = border === -1 ? [] : ownArguments.slice(border + 1);
const options = border === -1 ? ownArguments : ownArguments.slice(0, border);
const set = options.find((option) => option.startsWith('--tools='))?.slice('--tools='.length) ?? 'none';
if (!Object.hasOwn(toolSets, set)) fail(`--tools=${set} is none of ${Object.keys(toolSets).join(', ')}`);

if (!modulesAreInPlace()) installModules();
bringTools(toolSets[set]);
ensurePage();
if (command.length > 0) runCommand(command);
