// Finding and running the real tools of the tests, the demo and the bench; waiting; scratch directories.
import { spawn } from 'node:child_process';
import { accessSync, constants, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { scaled } from './patience.ts';

const clone = resolve(import.meta.dirname, '../..');

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The absolute path of a tool that the set-up brought or the machine has. Throws an Error that names the set-up. */
export function toolPath(name: string): string {
  const path = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  const file = [join(clone, '.tools/bin'), ...path].map((directory) => join(directory, name)).find(isExecutable);
  if (file === undefined) throw new Error(`${name} is not on this machine: npm run setup fetches it`);
  return file;
}

function canListen(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const server = createServer();
    server.once('error', () => settle(false));
    server.listen(port, '127.0.0.1', () => server.close(() => settle(true)));
  });
}

// Ports below the range that the kernel gives to outgoing connections, in blocks that one process has to itself.
const PORTS = { first: 12_000, block: 100, blocks: 200 } as const;
let block: number | undefined;
let taken: number = PORTS.block;

/** Holds a name that the kernel frees with this process, so that no other test process has the same block. */
function isOurs(candidate: number): Promise<boolean> {
  return new Promise((settle) => {
    const lock = createServer().unref();
    lock.once('error', () => settle(false));
    lock.listen(`\0geo-registry-proxy-ports-${candidate}`, () => settle(true));
  });
}

async function claimBlock(): Promise<number> {
  for (let tries = 0; tries < 10 * PORTS.blocks; tries += 1) {
    const candidate = Math.floor(Math.random() * PORTS.blocks);
    if (await isOurs(candidate)) return candidate;
  }
  throw new Error('no block of ports is free');
}

/**
 * A free port of 127.0.0.1 that neither an outgoing connection nor another test process takes while its server is down.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    if (taken === PORTS.block) {
      block = undefined;
      taken = 0;
    }
    block ??= await claimBlock();
    const port = PORTS.first + block * PORTS.block + taken;
    taken += 1;
    if (await canListen(port)) return port;
  }
}

export interface RunOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Standard input; empty when absent. */
  readonly input?: string;
  /** Milliseconds until the command is killed, on two idle cores. */
  readonly timeout?: number;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end and gives what it printed; a code other than 0 is no error, a start or time that failed is. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { env = {}, cwd, input = '', timeout = 60_000 } = options;
  return new Promise((settle, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, ...(cwd === undefined ? {} : { cwd }) });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), scaled(timeout));
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (code === null) reject(new Error(`${command} ${args.join(' ')} was killed: ${output.stderr}`));
      else settle({ code, ...output });
    });
    // A command that ends without reading its input closes the pipe first.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** `run`, and an Error with what was printed when the command's exit code is not 0. */
export async function runOrThrow(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

export interface WaitOptions {
  /** What is waited for, in words: it is all that a failing test shows. */
  readonly what: string;
  /** Milliseconds on two idle cores; 10 s when absent. */
  readonly timeout?: number;
}

type Truthy<T> = Exclude<T, false | undefined | null | 0 | ''>;

/** Polls a condition until its value is truthy, and gives that value. A condition that throws is one not yet met. */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<Truthy<T>> {
  const { what } = options;
  const timeout = scaled(options.timeout ?? 10_000);
  const deadline = performance.now() + timeout;
  let cause: unknown;
  while (performance.now() < deadline) {
    try {
      const value = await condition();
      if (value) return value as Truthy<T>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(10);
  }
  throw new Error(`waited ${timeout} ms in vain for ${what}`, { cause });
}

export interface TempDir extends AsyncDisposable {
  readonly path: string;
  /** Removes the directory and all in it; once is enough. */
  remove(): Promise<void>;
}

const leftOver = new Set<string>();
process.once('exit', () => {
  for (const path of leftOver) rmSync(path, { recursive: true, force: true });
});

/** A fresh scratch directory, removed by `remove` or else when this process exits. */
export async function tempDir(): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), 'geo-registry-proxy-'));
  leftOver.add(path);
  const remove = async (): Promise<void> => {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
    leftOver.delete(path);
  };
  return { path, remove, [Symbol.asyncDispose]: remove };
}
