// The keys in use: read from their files at the start, and again when the files change.
import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { certificateChain, readPrivateKey, readTrustedKeys } from './keys.ts';

/** Keys that belong together. The version grows with each change, so that what other keys made can be dropped. */
export interface KeySet {
  readonly version: number;
  /** Signs our tokens; `chain` is its certificates (base64 DER, the key's own first), often none. */
  readonly signing?: { readonly key: KeyObject; readonly chain: readonly string[] };
  /** The public keys that verify clients' tokens. */
  readonly trusted: readonly KeyObject[];
}

/** The private key's file, and the file of certificates or public keys to trust (by default the private key's own). */
export interface KeyFiles {
  readonly keyFile?: string | undefined;
  readonly certFile?: string | undefined;
}

/** A key file that cannot be used: `file` names which of the two; the message begins with its path. */
export class KeyFileError extends Error {
  readonly file: keyof KeyFiles;

  constructor(file: keyof KeyFiles, path: string, cause: unknown) {
    const { code, message } = cause as NodeJS.ErrnoException;
    super(`${path}: ${code && /^E[A-Z]+$/.test(code) ? `cannot be read (${code})` : message}`, { cause });
    this.name = 'KeyFileError';
    this.file = file;
  }
}

/** `source` is a hash of the files' content. */
type Loaded = Omit<KeySet, 'version'> & { readonly source: string };

function attempt<T>(files: KeyFiles, file: keyof KeyFiles, use: (path: string) => T): T | undefined {
  const path = files[file];
  if (path === undefined) return undefined;
  try {
    return use(path);
  } catch (cause) {
    throw new KeyFileError(file, path, cause);
  }
}

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

function load(files: KeyFiles, needsCertificate: boolean): Loaded {
  const keyText = attempt(files, 'keyFile', read) ?? '';
  const certText = attempt(files, 'certFile', read) ?? '';
  const key = attempt(files, 'keyFile', () => readPrivateKey(keyText));
  const publicKey = key && createPublicKey(key);
  const trusted = attempt(files, 'certFile', () => readTrustedKeys(certText)) ?? (publicKey ? [publicKey] : []);
  const source = hash('sha256', JSON.stringify([keyText, certText]));
  if (!key || !publicKey) return { trusted, source };
  const chain = attempt(files, 'certFile', () => {
    const found = certificateChain(certText, publicKey);
    if (needsCertificate && found.length === 0) throw new Error('no certificate of the private key');
    return found;
  });
  return { trusted, source, signing: { key, chain: chain ?? [] } };
}

/** Identifies the files' current version, however they are replaced; links are followed. */
function fingerprint(files: KeyFiles): string {
  const states = [files.keyFile, files.certFile].map((path) => {
    if (path === undefined) return '';
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(':');
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  });
  return states.join(' ');
}

type KeyRingDeps = KeyFiles & { readonly onError: (message: string) => void };

interface KeyRingOptions {
  readonly clock?: () => number;
  /** Milliseconds between two checks of the files. */
  readonly checkInterval?: number;
  readonly needsCertificate?: boolean;
}

/**
 * The current keys of a pair of files, which are checked on use. Changed files that cannot be used leave the keys as they
 * are, and are reported to `onError`, once a change.
 */
export class KeyRing {
  readonly #deps: KeyRingDeps;
  readonly #clock: () => number;
  readonly #checkInterval: number;
  readonly #load: () => Loaded;
  #fingerprint: string;
  #checkedAt: number;
  #source: string;
  #current: KeySet;
  #trouble: string | undefined;

  /** @throws {KeyFileError} when the files cannot be used. */
  constructor(
    deps: KeyRingDeps,
    { clock = () => performance.now(), checkInterval = 2_000, needsCertificate = false }: KeyRingOptions = {},
  ) {
    this.#deps = deps;
    this.#clock = clock;
    this.#checkInterval = checkInterval;
    this.#load = () => load(deps, needsCertificate);
    this.#fingerprint = fingerprint(deps);
    this.#checkedAt = clock();
    const { source, ...keys } = this.#load();
    this.#source = source;
    this.#current = { ...keys, version: 1 };
  }

  /** The keys in use; checks the files first where the last check is `checkInterval` ago. Never throws. */
  current(): KeySet {
    this.#check();
    return this.#current;
  }

  /** Why the files as they are now could not be used, for people; undefined where they are in use. */
  trouble(): string | undefined {
    this.#check();
    return this.#trouble;
  }

  /** Reads the files now (SIGHUP); returns whether the keys have changed. Never throws. */
  reload(): boolean {
    this.#checkedAt = this.#clock();
    this.#fingerprint = fingerprint(this.#deps);
    return this.#replace();
  }

  #check(): void {
    if (this.#clock() - this.#checkedAt < this.#checkInterval) return;
    this.#checkedAt = this.#clock();
    const now = fingerprint(this.#deps);
    if (now === this.#fingerprint) return;
    this.#fingerprint = now;
    this.#replace();
  }

  #replace(): boolean {
    try {
      const { source, ...keys } = this.#load();
      this.#trouble = undefined;
      if (source === this.#source) return false;
      this.#source = source;
      this.#current = { ...keys, version: this.#current.version + 1 };
      return true;
    } catch (error) {
      this.#trouble = `${(error as Error).message}; the keys that were read before stay in use`;
      this.#deps.onError(this.#trouble);
      return false;
    }
  }
}
