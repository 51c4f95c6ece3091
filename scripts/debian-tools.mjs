// Unpacks Debian packages, and the libraries of theirs that the machine lacks, into a directory of the clone, and puts
// a wrapper for each wanted tool into its `bin`. Works as any user; apt and dpkg are used only to read and to unpack.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Packages that every Debian has and that must never be doubled beside the system's own. */
const systemPackages =
  /^(libc6|libc-bin|libc-l10n|libgcc-s1|base-files|dpkg|apt|login|passwd|systemd.*|init.*|perl-base)$/;
const binaryDirectories = ['usr/bin', 'usr/sbin', 'bin', 'sbin'];

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, ...options });
  if (result.error !== undefined) throw new Error(`${command} is not there; this needs Debian or Ubuntu`);
  if (result.status === 0) return result.stdout;
  const reason =
    result.stderr
      .trim()
      .split('\n')
      .findLast((line) => line.startsWith('E:')) ?? result.stderr.trim();
  throw new Error(`${command} ${args.find((arg) => !arg.startsWith('-'))}: ${reason}`);
}

/** apt-get without locks, and with package lists of our own when `state` is given. */
function aptGet(state, args, options) {
  const own = state === undefined ? [] : [`Dir::State::Lists=${state}/lists`, `Dir::Cache=${state}/cache`];
  const settings = ['Debug::NoLocking=1', 'APT::Sandbox::User=root', ...own].flatMap((setting) => ['-o', setting]);
  const env = { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' };
  return run('apt-get', [...settings, ...args], { env, ...options });
}

/** The names of `packages` and of all that they depend on and the machine lacks. */
function resolvePackages(state, packages) {
  // With --reinstall one that is installed (but was asked for) is listed too.
  const plan = aptGet(state, ['--simulate', '--no-install-recommends', '--reinstall', 'install', ...packages]);
  const names = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1]);
  return names.filter((name) => !systemPackages.test(name.split(':')[0]) && !name.endsWith('-dev'));
}

function download(state, packages, directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const names = resolvePackages(state, packages);
  console.log(`set-up: fetching ${names.length} Debian packages (nothing is installed): ${names.join(' ')}`);
  aptGet(state, ['download', ...names], { cwd: directory });
}

/** Fresh package lists in `state`; one broken source among many is no failure as long as the packages are found. */
function updateLists(state) {
  console.log('set-up: fetching the Debian package lists');
  mkdirSync(join(state, 'lists/partial'), { recursive: true });
  mkdirSync(join(state, 'cache/archives/partial'), { recursive: true });
  try {
    aptGet(state, ['update']);
  } catch (error) {
    console.log(`set-up: ${error.message}`);
  }
}

/** The machine's own package lists may be empty or older than the mirror: then lists of our own are fetched. */
function downloadWithLists(packages, directory, state) {
  try {
    download(undefined, packages, directory);
  } catch {
    updateLists(state);
    download(state, packages, directory);
  }
}

/**
 * Writes `file`, a shell script that runs `binary` with the libraries of `tools`, a directory of unpacked packages.
 * Both paths are relative to the file's directory, so that a clone can be moved.
 */
export function writeWrapper({ file, tools, binary, prologue = [] }) {
  const lines = [
    '#!/bin/sh',
    `here=$(CDPATH= cd "\${0%/*}" && pwd) && tools=$(CDPATH= cd "$here/${tools}" && pwd) || exit 127`,
    // PulseAudio's libraries look for one of theirs where it would be installed.
    'for lib in "$tools"/usr/lib/*-linux-gnu*/pulseaudio "$tools"/usr/lib/*-linux-gnu* "$tools"/lib/*-linux-gnu*; do',
    '  [ -d "$lib" ] && LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"',
    'done',
    'export LD_LIBRARY_PATH',
    ...prologue,
    `exec "$here/${binary}" "$@"`,
  ];
  writeFileSync(`${file}.new`, `${lines.join('\n')}\n`);
  chmodSync(`${file}.new`, 0o755);
  renameSync(`${file}.new`, file);
}

/** A fontconfig file with the unpacked fonts alone, so that a page looks the same on each machine. */
function writeFontConfiguration(file, families) {
  const aliases = Object.entries(families).map(
    ([generic, family]) =>
      `  <match><test name="family"><string>${generic}</string></test>` +
      `<edit name="family" mode="assign" binding="strong"><string>${family}</string></edit></match>`,
  );
  const lines = [
    '<?xml version="1.0"?>',
    '<!DOCTYPE fontconfig SYSTEM "fonts.dtd">',
    '<fontconfig>',
    '  <dir prefix="relative">root/usr/share/fonts</dir>',
    // Relative it would be so to the working directory.
    `  <cachedir>${join(dirname(file), 'fonts-cache')}</cachedir>`,
    ...aliases,
    '</fontconfig>',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
}

function wrapTool(directory, { name, binary: own, fonts }) {
  const candidates = (own ? [own] : binaryDirectories.map((bin) => join(bin, name))).map((file) => join('root', file));
  const binary = candidates.find((file) => existsSync(join(directory, file)));
  if (binary === undefined) throw new Error(`no ${name} in its Debian package`);
  // Some look up helpers of their own in PATH: containerd its shim, dockerd containerd, podman conmon.
  const prologue = ['PATH="$tools/usr/bin:$tools/usr/sbin:$PATH"', 'export PATH'];
  if (fonts !== undefined) {
    writeFontConfiguration(join(directory, 'fonts.conf'), fonts);
    prologue.push('FONTCONFIG_FILE="$tools/../fonts.conf"', 'export FONTCONFIG_FILE');
  }
  writeWrapper({ file: join(directory, 'bin', name), tools: '../root', binary: join('..', binary), prologue });
}

/**
 * Unpacks `packages` into `directory`/root and writes `directory`/bin/<name> for each of `tools`.
 * Throws an Error with one line of reason when a package cannot be had.
 */
export function unpackTools({ directory, packages, tools }) {
  const archives = join(directory, 'archives');
  const state = join(directory, 'apt');
  mkdirSync(join(directory, 'root'), { recursive: true });
  mkdirSync(join(directory, 'bin'), { recursive: true });
  try {
    downloadWithLists(packages, archives, state);
    for (const file of readdirSync(archives)) run('dpkg', ['--extract', join(archives, file), join(directory, 'root')]);
    for (const tool of tools) wrapTool(directory, tool);
  } finally {
    for (const scratch of [archives, state]) rmSync(scratch, { recursive: true, force: true });
  }
}
