// The doctor: checks what goes wrong in practice, one finding a check, with or without a running server. Whatever hangs
// or breaks is one check's finding.
import { setTimeout as delay } from 'node:timers/promises';
import { Verifier } from '../auth/verify.ts';
import type { Config } from '../config/config.ts';
import { matchesRepository } from '../config/glob.ts';
import { RegistryOutage } from '../registry/answer.ts';
import { ownerFact, type Owner } from '../replication/owner.ts';
import { checkClock } from './clock.ts';
import { failed, ok, skipped, warning, type Finding } from './finding.ts';
import { checkKey } from './key.ts';
import { lookAt, type Look, type Unreachable } from './look.ts';
import { checkDataDirectory, checkOpenFiles, realMachine, type Machine } from './machine.ts';
import { openMeans, type Means } from './means.ts';
import { checkLoop, checkReach } from './reach.ts';
import { askRealm, checkRealm, checkRealmToken, type RealmAnswer } from './realm.ts';
import { checkToken } from './token.ts';
import { tryRegistry } from './trial.ts';
import { checkPublicWebhook, checkWebhook, isServed } from './webhook.ts';
import { allOf, findingsOf, type WriteFindings } from './write.ts';
import { checkWriters } from './writers.ts';

/** A finding under the name of its check. */
export interface Report extends Finding {
  readonly check: string;
}

/** What the command line gives, and knobs. */
export interface DoctorOptions {
  /** Nothing is pushed to the secondary, nor deleted. */
  readonly readOnly?: boolean;
  /** The secondary's public address. */
  readonly url?: URL;
  /** Milliseconds for one answer. */
  readonly timeout?: number;
  /** Milliseconds for one check. */
  readonly limit?: number;
  /** Ends the waiting: what is not known by then is skipped; what was pushed is still deleted. */
  readonly signal?: AbortSignal;
}

/** What all checks share: what was learned by asking once, and what to ask with. */
interface Case {
  readonly config: Config;
  readonly options: Required<Pick<DoctorOptions, 'timeout' | 'limit'>> & DoctorOptions;
  readonly machine: Machine;
  readonly means: Means;
  readonly there: Promise<Look | Unreachable>;
  readonly here: Promise<Look | Unreachable>;
  /** Undefined where clients need no tokens. */
  readonly realm: Promise<RealmAnswer | Unreachable> | undefined;
  readonly isServed: Promise<boolean>;
  /** Whether the secondary lets us in. */
  readonly admission: Promise<Finding>;
  readonly trial: Promise<WriteFindings>;
}

const TIMEOUT = 5_000;
const LIMIT = 45_000;
// A database's thread may hang with its disk.
const CLOSE_PATIENCE = 2_000;

function tokenOf({ config, means, options: { timeout } }: Omit<Case, 'admission' | 'trial'>) {
  return (name: 'primary' | 'secondary', look: Look | Unreachable): Promise<Finding> => {
    const { registry } = means[name];
    return checkToken(means[name], look, { registry, keys: means.keys, config, timeout });
  };
}

/** A third of the time for the trial, and as much for cleaning up. */
async function trialOf({ config, means, options, here, admission }: Omit<Case, 'trial'>): Promise<WriteFindings> {
  if (!config.store) return allOf(skipped('GEO_STORE is off: the secondary is never written to'));
  if (options.readOnly) return allOf(skipped('--read-only'));
  const look = await here;
  if (look.kind !== 'look' || !look.isRegistry) return allOf(skipped('see secondary'));
  if ((await admission).verdict === 'failed') return allOf(skipped('see secondary-token'));
  const time = options.limit / 3;
  return findingsOf(await tryRegistry(means.secondary.registry, { timeout: options.timeout, time }), config);
}

async function writersOf({ config, means, options, here, admission }: Case): Promise<Finding> {
  const { rows, databaseFile } = means;
  if (!config.store) return skipped('GEO_STORE is off: the secondary is never written to');
  if (!config.replication) return skipped('GEO_REPLICATION is off: others may write to the secondary');
  if (!rows) return skipped(`there is no ${databaseFile}: the proxy has not run with this GEO_DATA_DIR yet`);
  const look = await here;
  if (look.kind !== 'look' || (await admission).verdict !== 'ok') return skipped('see secondary and secondary-token');
  const { replicationInclude: include, replicationExclude: exclude } = config;
  const isStored = (name: string): boolean =>
    (include.length === 0 || matchesRepository(include, name)) && !matchesRepository(exclude, name);
  const { registry } = means.secondary;
  return checkWriters({ rows, secondary: registry, isStored, isGitlab: look.isGitlab, timeout: options.timeout });
}

async function clockOf({ there, here, realm }: Case): Promise<Finding> {
  const [primary, secondary, answer] = await Promise.all([there, here, realm]);
  return checkClock([
    ['primary', primary.kind === 'look' ? primary.skew : undefined],
    ['secondary', secondary.kind === 'look' ? secondary.skew : undefined],
    ['realm', answer?.kind === 'answer' ? answer.skew : undefined],
  ]);
}

async function openFilesOf({ config, means, machine, isServed: served }: Case): Promise<Finding> {
  const owner = await means.rows?.getFact(ownerFact(machine.hostname())).catch(() => undefined);
  return checkOpenFiles(machine, (await served) ? (owner as Owner | undefined)?.pid : undefined, config);
}

function configurationOf({ warnings }: Config): Finding {
  if (warnings.length === 0) return ok('all variables are right');
  return warning(warnings.join('; '), 'see docs/configuration.md');
}

async function realmOf({ config, here, realm }: Case): Promise<Finding> {
  if (!realm) return skipped('GEO_CLIENT_AUTH is none: clients need no tokens');
  return checkRealm(config, await here, await realm);
}

async function realmTokenOf({ config, means: { keys }, machine: { clock }, realm }: Case): Promise<Finding> {
  if (!realm) return skipped('GEO_CLIENT_AUTH is none: clients need no tokens');
  const { tokenIssuer: issuer, tokenService: audience } = config;
  return checkRealmToken(await realm, new Verifier({ keys, issuer, audience, clock }));
}

async function loopOf({ config, means, there, here, isServed: served }: Case): Promise<Finding> {
  const looks = [[means.primary, await there] as const, [means.secondary, await here] as const];
  return checkLoop(looks, config, await served);
}

/** The checks in the order in which they are told: root causes come before what follows from them. */
const CHECKS: Readonly<Record<string, (given: Case) => Promise<Finding>>> = {
  configuration: async ({ config }) => configurationOf(config),
  clock: clockOf,
  key: ({ config, machine }) => checkKey(config, machine),
  primary: async ({ means, there }) => checkReach(means.primary, await there),
  'primary-token': async (given) => tokenOf(given)('primary', await given.there),
  secondary: async ({ means, here }) => checkReach(means.secondary, await here),
  'secondary-token': ({ admission }) => admission,
  realm: realmOf,
  'realm-token': realmTokenOf,
  push: async ({ trial }) => (await trial).push,
  delete: async ({ trial }) => (await trial).delete,
  schema1: async ({ trial }) => (await trial).schema1,
  'foreign-layers': async ({ trial }) => (await trial).foreignLayers,
  'other-writer': writersOf,
  webhook: ({ config, means, options: { timeout } }) => checkWebhook(config, { dispatcher: means.own, timeout }),
  'public-webhook': ({ config, means, options: { url, timeout } }) =>
    checkPublicWebhook(config, url, { dispatcher: means.outward, timeout }),
  loop: loopOf,
  'open-files': openFilesOf,
  'data-directory': ({ config, machine }) => checkDataDirectory(machine, config),
};

/** What a check fails by where another one has failed: advice on it would be beside the point. */
const CAUSES: Readonly<Record<string, readonly string[]>> = {
  'primary-token': ['clock', 'key'],
  'secondary-token': ['clock', 'key'],
  'realm-token': ['clock', 'key'],
};

/** A finding, or in the place of a failure the cause that was told before. */
function withoutConsequences(report: Report, before: readonly Report[]): Report {
  const { check, verdict, message } = report;
  const cause = CAUSES[check]?.find((name) => before.some((one) => one.check === name && one.verdict === 'failed'));
  if (verdict !== 'failed' || cause === undefined) return report;
  return { check, ...skipped(`follows from ${cause}, see there: ${message}`) };
}

function takeCase(config: Config, options: Case['options'], machine: Machine, means: Means): Case {
  const { timeout } = options;
  const { clock } = machine;
  const asked = {
    config,
    options,
    machine,
    means,
    there: lookAt(means.primary.registry, { clock, timeout }),
    here: lookAt(means.secondary.registry, { clock, timeout }),
    realm: config.clientAuth === 'token' ? askRealm(config, { dispatcher: means.outward, clock, timeout }) : undefined,
    isServed: isServed(config, { dispatcher: means.own, timeout }),
  };
  const admission = asked.here.then((look) => tokenOf(asked)('secondary', look));
  return { ...asked, admission, trial: trialOf({ ...asked, admission }) };
}

function broken(error: unknown): Finding {
  const { message } = error as Error;
  if (error instanceof RegistryOutage) return failed(message, 'see that registry');
  return failed(`this cannot be checked: ${message}`, 'see that reason, and try again');
}

/** A check's finding, whatever becomes of it. */
async function within({ limit, signal }: Case['options'], work: Promise<Finding>): Promise<Finding> {
  const done = new AbortController();
  const until = signal ? AbortSignal.any([signal, done.signal]) : done.signal;
  const late = delay(limit, undefined, { signal: until }).then(
    () => failed(`not done in ${limit / 1_000} s`, 'see what the other checks say, and try again'),
    () => skipped('interrupted'),
  );
  try {
    return await Promise.race([work.catch(broken), late]);
  } finally {
    done.abort();
  }
}

/**
 * Runs all checks at once and gives their findings in one order, each as soon as those before it are there.
 * @throws {KeyFileError} where a key file has gone since the configuration was read.
 */
export async function* runDoctor(
  config: Config,
  options: DoctorOptions = {},
  machine: Machine = realMachine,
): AsyncGenerator<Report> {
  const known = { ...options, timeout: options.timeout ?? TIMEOUT, limit: options.limit ?? LIMIT };
  const means = openMeans(config, known);
  const given = takeCase(config, known, machine, means);
  try {
    const running = Object.entries(CHECKS).map(([check, work]) => ({ check, finding: within(known, work(given)) }));
    const told: Report[] = [];
    for (const { check, finding } of running) {
      const report = withoutConsequences({ check, ...(await finding) }, told);
      told.push(report);
      yield report;
    }
  } finally {
    // What was pushed is deleted before the sockets go; each of its requests has a time-out.
    await given.trial.catch(() => undefined);
    await Promise.race([means.close(), delay(CLOSE_PATIENCE, undefined, { ref: false })]);
  }
}
