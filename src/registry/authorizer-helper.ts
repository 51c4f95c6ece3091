// Runs credential helpers: programs named docker-credential-<name> that keep secrets for Docker and Podman.
import { execFile } from 'node:child_process';
import type { Credentials } from './authorizer-token.ts';

/** A JSON object that is not validated yet. */
export type Table = Record<string, unknown>;

interface HelperOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds. */
  readonly timeout: number;
}

const OUTPUT_MAX = 64 * 1024;

/** A value as an object; an empty one where it is not an object. */
export function tableOf(value: unknown): Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Table) : {};
}

/** A value that is a string and not empty. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function fromHelper(output: string, helper: string): Credentials {
  let answer: Table = {};
  try {
    answer = tableOf(JSON.parse(output));
  } catch {
    // Not as the cause: it would quote the output.
  }
  const [username, secret] = [textOf(answer['Username']), textOf(answer['Secret'])];
  if (username === undefined || secret === undefined) throw new Error(`${helper} gave no user name and secret`);
  return username === '<token>' ? { kind: 'identity', token: secret } : { kind: 'basic', username, password: secret };
}

/**
 * Asks a credential helper (docker-credential-helpers' `get`: the server on stdin, JSON on stdout) for a server's
 * credentials. @throws {Error} when it fails or is too slow, without its output.
 */
export async function runHelper(
  name: string,
  server: string,
  { env, timeout }: HelperOptions,
): Promise<Credentials | undefined> {
  const helper = `docker-credential-${name}`;
  if (!/^[\w.-]+$/.test(name)) throw new Error('a credential helper with a name that is none');
  const output = await new Promise<string | undefined>((settle, reject) => {
    const limits = { timeout, killSignal: 'SIGKILL', maxBuffer: OUTPUT_MAX } as const;
    const child = execFile(helper, ['get'], { env, ...limits }, (error, stdout) => {
      // The output may be secret, and does not go into errors.
      if (!error) settle(stdout);
      else if (stdout.includes('credentials not found')) settle(undefined);
      else if (error.killed && !error.code) reject(new Error(`${helper} gave no answer in ${timeout} ms`));
      else if (error.code === 'ENOENT') reject(new Error(`${helper} is not on PATH`));
      else reject(new Error(`${helper} failed (${error.code ?? error.signal})`));
    });
    // A helper may end without reading its input.
    child.stdin?.on('error', () => undefined).end(server);
  });
  return output === undefined ? undefined : fromHelper(output, helper);
}
