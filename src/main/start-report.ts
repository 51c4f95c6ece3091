// What is told at the start: the settings that decide, and what both registries say of themselves, or what to do about them.
import type { Config } from '../config/config.ts';
import { lookAt } from '../doctor/look.ts';
import { noRegistryAdvice, reachAdvice } from '../doctor/reach.ts';
import { compareRealm } from '../doctor/realm.ts';
import type { Log } from '../lib/log.ts';
import { bareReason } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';

/** What is told. */
export interface StartReport {
  readonly version: string;
  readonly url: string;
  readonly adminUrl: string;
  /** The id by which registries know our key. */
  readonly keyId: string | undefined;
  readonly isReplicating: boolean;
  readonly takesEvents: boolean;
}

const REFUSED =
  'GEO_KEY_FILE must be the key of its auth.token.rootcertbundle, GEO_TOKEN_ISSUER its auth.token.issuer, GEO_TOKEN_SERVICE its auth.token.service; "geo-registry-proxy doctor" finds out which of them is wrong';

async function reportRegistry(log: Log, { client, ping }: Registry, url: URL): Promise<void> {
  const { registry } = client;
  const variable = `GEO_${registry.toUpperCase()}_URL`;
  const facts = { registry, url: url.origin };
  const answer = await ping({ fresh: true, isBelieved: false });
  if (answer.kind !== 'found') {
    const reason = bareReason(answer, registry);
    log.warn({ ...facts, reason, advice: reachAdvice(reason) }, `the ${registry} registry cannot be reached`);
    return;
  }
  const { isRegistry, acceptsUs, version, hasDatabase } = answer.value;
  if (!isRegistry) {
    log.warn({ ...facts, advice: noRegistryAdvice(registry, url) }, `what answers at ${variable} is no registry`);
  } else if (!acceptsUs) {
    log.warn({ ...facts, advice: REFUSED }, `the ${registry} registry refuses our key`);
  } else {
    const about = version.split(' | ').filter(Boolean).join(', ');
    log.info({ ...facts, about, ...(hasDatabase ? { database: true } : {}) }, `the ${registry} registry answers`);
  }
}

const TIMEOUT = 5_000;

/** Tells where clients are sent elsewhere than the local registry sends them. */
async function reportRealm(
  log: Log,
  config: Pick<Config, 'tokenRealm' | 'tokenService'>,
  secondary: Registry,
): Promise<void> {
  if (config.tokenRealm === undefined) return;
  const look = await lookAt(secondary, { clock: Date.now, timeout: TIMEOUT });
  const finding = compareRealm(config, look);
  if (finding) log.warn({ registry: 'secondary', advice: finding.advice }, finding.message);
}

function onOff(is: boolean): string {
  return is ? 'on' : 'off';
}

/** Writes the line of the start, and one for each registry when it has answered, or could not be asked. */
export async function reportStart(
  log: Log,
  config: Pick<Config, 'blobDelivery' | 'primaryUrl' | 'secondaryUrl' | 'tokenRealm' | 'tokenService'>,
  { primary, secondary }: { readonly primary: Registry; readonly secondary: Registry },
  { version, url, adminUrl, keyId, isReplicating, takesEvents }: StartReport,
): Promise<void> {
  log.info(
    {
      version,
      url,
      adminUrl,
      key: keyId,
      delivery: config.blobDelivery,
      replication: onOff(isReplicating),
      webhook: onOff(takesEvents),
    },
    'listening',
  );
  await Promise.all([
    reportRegistry(log, primary, config.primaryUrl),
    reportRealm(log, config, secondary).then(() => reportRegistry(log, secondary, config.secondaryUrl)),
  ]);
}
