// The keys in use: read from their files at the start, and again when the files change under us.
import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { certificateChain, readPrivateKey, readTrustedKeys } from './keys.ts';

/** Keys that belong together; the version grows with each change, so that what was made with others can be dropped. */
export interface KeySet {
  readonly version: number;
  /** What our tokens are signed with; `chain` is its certificates (base64 DER, the key's own first), often none. */
  readonly signing?: { readonly key: KeyObject; readonly chain: readonly string[] };
  /** What clients' tokens may be signed with. */
  readonly trusted: readonly KeyObject[];
}

/** Where keys come from: the private key, and the certificates or public keys to trust (by default its public half). */
export interface KeyFiles {
  readonly keyFile?: string | undefined;
  readonly certFile?: string | undefined;
}

/** The current keys of a pair of files. */
export interface KeyRing {
  /** The keys in use; looks at the files first when the last look is a while ago. Never throws. */
  current(): KeySet;
  /** Reads the files now (SIGHUP); answers whether other keys are in use from now on. Never throws. */
  reload(): boolean;
  /** Why the files as they are now could not be used, for people; undefined where they are in use. */
  trouble(): string | undefined;
}

/** A key file that cannot be used; `file` says which of the two, the message begins with its path. */
export class KeyFileError extends Error {
  readonly file: keyof KeyFiles;

  constructor(file: keyof KeyFiles, path: string, cause: unknown) {
    const { code, message } = cause as NodeJS.ErrnoException;
    super(`${path}: ${code && /^E[A-Z]+$/.test(code) ? `cannot be read (${code})` : message}`, { cause });
    this.name = 'KeyFileError';
    this.file = file;
  }
}

/** `source` stands for the files' content. */
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

/** What tells a file from the one that was there before, however it was replaced: links are followed. */
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

/**
 * Reads the files, and looks at them again on use, `checkInterval` ms apart. Files that cannot be used later on leave
 * the keys as they are and are told of through `onError`, once per change.
 * @throws {KeyFileError} when they cannot be used now.
 */
export function createKeyRing(
  deps: KeyFiles & { readonly onError: (message: string) => void },
  options: { clock?: () => number; checkInterval?: number; needsCertificate?: boolean } = {},
): KeyRing {
  const { clock = () => performance.now(), checkInterval = 2_000, needsCertificate = false } = options;
  let seen = fingerprint(deps);
  let looked = clock();
  let { source, ...keys } = load(deps, needsCertificate);
  let current: KeySet = { ...keys, version: 1 };

  let trouble: string | undefined;

  function replace(): boolean {
    try {
      const loaded = load(deps, needsCertificate);
      trouble = undefined;
      if (loaded.source === source) return false;
      ({ source, ...keys } = loaded);
      current = { ...keys, version: current.version + 1 };
      return true;
    } catch (error) {
      trouble = `${(error as Error).message}; the keys that were read before stay in use`;
      deps.onError(trouble);
      return false;
    }
  }

  function look(): void {
    looked = clock();
    const now = fingerprint(deps);
    if (now === seen) return;
    seen = now;
    replace();
  }

  return {
    current() {
      if (clock() - looked >= checkInterval) look();
      return current;
    },
    trouble() {
      if (clock() - looked >= checkInterval) look();
      return trouble;
    },
    reload() {
      looked = clock();
      seen = fingerprint(deps);
      return replace();
    },
  };
}
