// Real registries: `docker-registry` processes on their own storage and port.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startProcess, waitUntilReady, type ServerProcess } from './process.ts';
import { freePort, tempDir, toolPath } from './tool.ts';
import { scaled } from './patience.ts';

export interface RegistryAuth {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** File of the certificates whose keys may sign tokens. */
  readonly rootCertBundle: string;
}

export interface RegistryNotifications {
  readonly url: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  /** Go durations: 500 ms, threshold 5 and 1 s when absent, as GitLab documents. */
  readonly timeout?: string;
  readonly threshold?: number;
  readonly backoff?: string;
}

/** What may change while a registry is stopped: `stop()`, then `start({ readOnly: true })`. */
export interface RegistrySettings {
  /** Token authentication; open to everyone when absent. */
  readonly auth?: RegistryAuth | undefined;
  readonly deleteEnabled?: boolean;
  /** Accept pushes of Docker's schema 1. */
  readonly schema1?: boolean;
  readonly readOnly?: boolean;
  readonly notifications?: RegistryNotifications | undefined;
  /** Makes it a pull-through cache of this registry. */
  readonly remoteUrl?: string;
  /** Keeps descriptors in memory; they are read from storage when absent. */
  readonly descriptorCache?: 'inmemory' | undefined;
  /** The `s3` part of the storage, in the place of files; blobs are answered with a 307 to it. */
  readonly s3?: Readonly<Record<string, unknown>> | undefined;
  /** Answers blobs with a 307 to this base URL. */
  readonly redirectTo?: string | undefined;
  /** Patterns of the URLs that foreign layers may have. */
  readonly urlsAllow?: readonly string[];
  /** Another program than `docker-registry` that takes its configuration: Distribution 3, GitLab's registry. */
  readonly program?: string | undefined;
}

export interface RegistryOptions extends RegistrySettings {
  /** For error messages. */
  readonly name: string;
  /** Storage directory; a scratch one when absent. */
  readonly dir?: string;
  readonly port?: number;
}

/** The directory of all blobs below a storage root, made where the registry has not stored anything yet. */
export async function blobsDirectory(root: string): Promise<string> {
  const directory = join(root, 'docker/registry/v2/blobs');
  await mkdir(directory, { recursive: true });
  return directory;
}

export interface Registry {
  readonly name: string;
  readonly port: number;
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** The storage root. */
  readonly dir: string;
  readonly configFile: string;
  /** Of the running (or last) process. */
  readonly pid: number;
  readonly stopped: boolean;
  /** What the running (or last) process printed. */
  log(): string;
  /** The file that holds a blob's bytes, to damage or to remove. */
  blobFile(digest: string): string;
  /** Ends the process; storage and port are kept. */
  stop(): Promise<void>;
  /** Starts it again on the same port and storage, with changed settings if any are given. */
  start(changes?: RegistrySettings): Promise<void>;
  /** Stops it and removes its scratch directories. */
  close(): Promise<void>;
}

function storageConfig(dir: string, settings: RegistrySettings): object {
  const cache = settings.descriptorCache;
  return {
    ...(settings.s3 === undefined ? { filesystem: { rootdirectory: dir } } : { s3: settings.s3 }),
    delete: { enabled: settings.deleteEnabled ?? true },
    maintenance: { uploadpurging: { enabled: false }, readonly: { enabled: settings.readOnly ?? false } },
    ...(cache === undefined ? {} : { cache: { blobdescriptor: cache } }),
  };
}

function notificationConfig({ url, headers = {}, ...rest }: RegistryNotifications): object {
  const { timeout = `${scaled(500)}ms`, threshold = 5, backoff = '1s' } = rest;
  return { endpoints: [{ name: 'webhook', url, headers, timeout, threshold, backoff }] };
}

/** Distribution's configuration as JSON, which is YAML too. */
function registryConfig(port: number, dir: string, settings: RegistrySettings): string {
  const { auth, notifications, remoteUrl, redirectTo, urlsAllow } = settings;
  const optional = {
    auth: auth && { token: { ...auth, rootcertbundle: auth.rootCertBundle, rootCertBundle: undefined } },
    notifications: notifications && notificationConfig(notifications),
    proxy: remoteUrl === undefined ? undefined : { remoteurl: remoteUrl },
    middleware: redirectTo && { storage: [{ name: 'redirect', options: { baseurl: redirectTo } }] },
    validation: urlsAllow && { manifests: { urls: { allow: urlsAllow } } },
  };
  return JSON.stringify({
    version: '0.1',
    log: { level: 'info' },
    http: { addr: `127.0.0.1:${port}`, secret: 'one secret for all' },
    storage: storageConfig(dir, settings),
    compatibility: { schema1: { enabled: settings.schema1 ?? false } },
    ...optional,
  });
}

/** This process's environment without what Distribution and its S3 client take for settings, such as REGISTRY_AUTH_FILE. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:REGISTRY|AWS)_/.test(name)));
}

async function answersAsRegistry(url: string): Promise<boolean> {
  const response = await fetch(`${url}/v2/`);
  await response.body?.cancel();
  return response.status === 200 || response.status === 401;
}

/** Starts a registry and waits until `/v2/` answers. It ends with the test's process at the latest. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { name, port = await freePort() } = options;
  const scratch = await tempDir();
  const dir = options.dir ?? join(scratch.path, 'storage');
  const configFile = join(scratch.path, 'config.yml');
  const url = `http://127.0.0.1:${port}`;
  let settings: RegistrySettings = options;
  let server: ServerProcess | undefined;

  const start = async (changes: RegistrySettings = {}): Promise<void> => {
    if (server?.running()) throw new Error(`registry ${name} is running: stop it first`);
    settings = { ...settings, ...changes };
    await writeFile(configFile, registryConfig(port, dir, settings));
    server = startProcess(settings.program ?? toolPath('docker-registry'), ['serve', configFile], {
      env: environment(),
    });
    const { log } = server;
    // Its own word first: whatever else has the port would answer too.
    const ready = async (): Promise<boolean> => log().includes('listening on') && answersAsRegistry(url);
    await waitUntilReady(server, ready, `registry ${name} at ${url}`);
  };
  const stop = async (): Promise<void> => void (await server?.stop());
  await start();
  return {
    name,
    port,
    url,
    dir,
    configFile,
    get pid() {
      return server?.pid ?? -1;
    },
    get stopped() {
      return !server?.running();
    },
    log: () => server?.log() ?? '',
    blobFile(digest) {
      const [algorithm = '', hex = ''] = digest.split(':');
      return join(dir, 'docker/registry/v2/blobs', algorithm, hex.slice(0, 2), hex, 'data');
    },
    start,
    stop,
    async close() {
      await stop();
      await scratch.remove();
    },
  };
}
