// The rooms of filling and copying without the pull API: two open registries, a relay before each, and every knob.
import { Transport } from '../../src/registry/transport.ts';
import { join } from 'node:path';
import type { FillerOptions } from '../../src/fill/context.ts';
import { Filler } from '../../src/fill/filler.ts';
import { Spool } from '../../src/fill/spool.ts';
import { createStore, type Store, type StoreOptions } from '../../src/fill/store.ts';
import { noBudget, type Budget } from '../../src/lib/budget.ts';
import { createPlaces } from '../../src/lib/places.ts';
import { createSlots, type Slots } from '../../src/lib/slots.ts';
import { parseDigest, type Digest } from '../../src/oci/digest.ts';
import { noAuthorizer } from '../../src/registry/authorizer.ts';
import { createClient } from '../../src/registry/client.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import type { Target } from '../support/push.ts';
import { startRegistry, type Registry as RealRegistry, type RegistrySettings } from '../support/registry.ts';
import { startRelay, type Relay } from '../support/relay.ts';
import { tempDir } from '../support/tool.ts';
import { scaled } from '../support/patience.ts';

/** The real sites, shared by the tests of a file. */
export interface RigSites {
  readonly primary: RealRegistry;
  readonly secondary: RealRegistry;
  readonly relay: Relay;
  readonly localRelay: Relay;
  primaryTarget(repository: string): Target;
  secondaryTarget(repository: string): Target;
  close(): Promise<void>;
}

/** Two open registries and a relay before each. */
export async function startRigSites(settings: { primary?: RegistrySettings; secondary?: RegistrySettings } = {}) {
  const [primary, secondary] = await Promise.all([
    startRegistry({ name: 'primary', ...settings.primary }),
    startRegistry({ name: 'secondary', ...settings.secondary }),
  ]);
  const [relay, localRelay] = await Promise.all([
    startRelay({ target: primary.url }),
    startRelay({ target: secondary.url }),
  ]);
  const sites: RigSites = {
    primary,
    secondary,
    relay,
    localRelay,
    primaryTarget: (repository) => ({ url: primary.url, repository }),
    secondaryTarget: (repository) => ({ url: secondary.url, repository }),
    async close() {
      await Promise.all([relay.close(), localRelay.close(), primary.close(), secondary.close()]);
    },
  };
  return sites;
}

export interface RigOptions {
  /** Bytes. */
  readonly spoolMax?: number;
  readonly filler?: FillerOptions;
  readonly store?: StoreOptions;
  /** How long (ms) a body may stand still. */
  readonly bodyTimeout?: number;
  readonly slots?: Slots;
  readonly budget?: Budget;
  readonly sizeOf?: (digest: Digest) => number | undefined;
  readonly isStored?: (name: string) => boolean;
  /** Makes the spool, for one that is not as others. */
  readonly spool?: (dir: string, max: number) => Spool;
  /** The spool's folder; a fresh one when absent. */
  readonly dir?: string;
  /** `false` leaves the look at the spool to the test. */
  readonly recover?: false;
}

/** A line of the log. */
export interface Line {
  readonly level: string;
  readonly facts: Record<string, unknown>;
  readonly message: string;
}

export interface Rig extends AsyncDisposable {
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly filler: Filler;
  readonly store: Store;
  readonly spool: Spool;
  readonly dir: string;
  readonly log: Line[];
  /** A counter, summed over the labels that are not given. */
  count(name: string, labels?: Record<string, string>): number;
}

function registryAt(
  name: string,
  relay: Relay,
  bodyTimeout = scaled(30_000),
): { registry: Registry; transport: Transport } {
  const transport = new Transport({ connections: 32, connectTimeout: scaled(2_000), bodyTimeout });
  const client = createClient({
    registry: name,
    origin: new URL(relay.url),
    dispatcher: transport,
    authorizer: noAuthorizer(),
    via: '1.1 test',
    onBreaker: () => {},
  });
  return { registry: createRegistry(client), transport };
}

/** A filler and what it is made of, in front of shared sites. */
export async function createRig(sites: RigSites, options: RigOptions = {}): Promise<Rig> {
  const scratch = await tempDir();
  const { spoolMax = 2 ** 30, dir = join(scratch.path, 'spool'), slots = createSlots(16) } = options;
  const primary = registryAt('primary', sites.relay, options.bodyTimeout);
  const secondary = registryAt('secondary', sites.localRelay);
  const spool = options.spool?.(dir, spoolMax) ?? new Spool(dir, spoolMax);
  const store = createStore(secondary.registry, options.store);
  const log: Line[] = [];
  const counted: { name: string; labels: Record<string, string>; by: number }[] = [];
  const line =
    (level: string) =>
    (facts: object, message = ''): void =>
      void log.push({ level, facts: { ...facts }, message });
  const filler = new Filler(
    {
      primary: primary.registry,
      store,
      lookups: createPlaces({ own: 16, total: 16, patience: 5_000 }),
      spool,
      slots,
      budget: options.budget ?? noBudget,
      sizeOf: options.sizeOf ?? (() => undefined),
      log: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
      meter: (name, labels = {}, by = 1) => void counted.push({ name, labels, by }),
      isStored: options.isStored ?? (() => true),
    },
    options.filler,
  );
  // As at the start: a spool that cannot be read is no reason not to serve.
  if (options.recover !== false) await filler.recover().catch(() => {});
  return {
    primary: primary.registry,
    secondary: secondary.registry,
    filler,
    store,
    spool,
    dir,
    log,
    count: (name, labels = {}) =>
      counted
        .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
        .reduce((sum, { by }) => sum + by, 0),
    async [Symbol.asyncDispose]() {
      await filler.close(0);
      for (const { registry, transport } of [primary, secondary]) {
        registry.client.breaker.stop();
        await transport.destroy();
      }
      await scratch.remove();
    },
  };
}

/** A test's digest as the program has it. */
export function digestOf({ digest }: { readonly digest: string }): Digest {
  return parseDigest(digest)!;
}
