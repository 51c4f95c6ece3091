// Whether a registry lets us in, and if not, with which of the usual settings it would.
import type { KeyRing } from '../auth/key-ring.ts';
import { Minter } from '../auth/mint.ts';
import { pullAccess } from '../auth/scope.ts';
import type { Config } from '../config/config.ts';
import { RegistryOutage } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';
import { failed, ok, skipped, warning, type Finding } from './finding.ts';
import { ask, reasonOf, type Look, type Reply, type Unreachable } from './look.ts';
import { reachAdvice, type Side } from './reach.ts';

/** The repository that doctor asks for and writes to: nobody's. */
export const REPOSITORY = 'geo-registry-proxy/doctor';

/** What a token says of us and of its key. */
export type Settings = Pick<Config, 'tokenIssuer' | 'tokenService' | 'tokenKeyId'>;

/** What the check needs; `timeout` in ms. */
export interface TokenDeps {
  readonly registry: Registry;
  readonly keys: KeyRing;
  readonly config: Config;
  readonly timeout: number;
}

const MANIFEST = `/v2/${REPOSITORY}/manifests/none`;
/** The issuers of GitLab's packages, and of its charts and source installations. */
export const ISSUERS = ['omnibus-gitlab-issuer', 'gitlab-issuer'];
const KEY_IDS = ['libtrust', 'rfc7638'] as const;
const VARIABLES = {
  tokenIssuer: 'GEO_TOKEN_ISSUER',
  tokenService: 'GEO_TOKEN_SERVICE',
  tokenKeyId: 'GEO_TOKEN_KEY_ID',
} as const;

function isAccepted({ status, codes }: Reply): boolean {
  return status === 200 || (status === 404 && (codes.includes('MANIFEST_UNKNOWN') || codes.includes('NAME_UNKNOWN')));
}

function differences(config: Settings, other: Settings): string[] {
  const names = Object.keys(VARIABLES) as (keyof typeof VARIABLES)[];
  return names.filter((name) => config[name] !== other[name]).map((name) => `${VARIABLES[name]}=${other[name]}`);
}

/** The settings that other sites have, those first that differ the least from ours. */
function otherSettings(config: Config, look: Look): Settings[] {
  const services = new Set([config.tokenService, look.challenge?.parameters.get('service') ?? config.tokenService]);
  const all = [...new Set([config.tokenIssuer, ...ISSUERS])].flatMap((tokenIssuer) =>
    [...services].flatMap((tokenService) =>
      [...new Set([config.tokenKeyId, ...KEY_IDS])].map((tokenKeyId) => ({ tokenIssuer, tokenService, tokenKeyId })),
    ),
  );
  const distance = (settings: Settings): number => differences(config, settings).length;
  return all.filter((settings) => distance(settings) > 0).sort((one, other) => distance(one) - distance(other));
}

/** Those settings, in their order, with which a registry accepts a token of our key. */
export async function acceptedSettings(
  { registry, keys, timeout }: Omit<TokenDeps, 'config'>,
  candidates: readonly Settings[],
): Promise<Settings[]> {
  const tried = candidates.map(async (settings) => {
    const { tokenIssuer: issuer, tokenService: service, tokenKeyId } = settings;
    const token = await new Minter({ keys, issuer, service, tokenKeyId }).mint([pullAccess(REPOSITORY)]);
    const headers = { authorization: `Bearer ${token}` };
    const reply = await ask(registry, { method: 'GET', target: MANIFEST, access: undefined, headers, timeout });
    return isAccepted(reply) ? [settings] : [];
  });
  const settled = await Promise.allSettled(tried);
  return settled.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
}

/** What would have to be set for this registry to accept our key; undefined where none of the usual settings does. */
async function remedy(deps: TokenDeps, look: Look): Promise<string | undefined> {
  const { config } = deps;
  const [accepted] = await acceptedSettings(deps, otherSettings(config, look));
  return accepted && differences(config, accepted).join(' and ');
}

/** What may be wrong, each with the value that is set: nothing that is set already is advised. */
function refusedAdvice({ config }: TokenDeps, look: Look): string {
  const { tokenIssuer, tokenService, tokenKeyId } = config;
  const service = look.challenge?.parameters.get('service');
  const isOther = service !== undefined && service !== tokenService;
  const parts = [
    'GEO_KEY_FILE must be the key of its auth.token.rootcertbundle',
    `GEO_TOKEN_ISSUER, ${JSON.stringify(tokenIssuer)}, its auth.token.issuer`,
    ...(isOther
      ? [`GEO_TOKEN_SERVICE, ${JSON.stringify(tokenService)}, the service that it names, ${JSON.stringify(service)}`]
      : []),
    ...(service === undefined ? [`GEO_TOKEN_SERVICE, ${JSON.stringify(tokenService)}, its auth.token.service`] : []),
    ...(tokenKeyId === 'libtrust' ? ['GEO_TOKEN_KEY_ID rfc7638 where it is Distribution 3'] : []),
    ...(tokenKeyId === 'rfc7638' ? ['GEO_TOKEN_KEY_ID libtrust where it is Distribution 2.8 or GitLab'] : []),
  ];
  return parts.join('; ');
}

async function byKey({ name }: Side, look: Look, deps: TokenDeps): Promise<Finding> {
  const { registry, timeout } = deps;
  const reply = await ask(registry, { method: 'GET', target: MANIFEST, access: [pullAccess(REPOSITORY)], timeout });
  if (isAccepted(reply)) return ok(`the ${name} registry accepts our token`);
  if (reply.status !== 401)
    return warning(
      `the ${name} registry answers ${reply.text} to a pull with our token`,
      'see its log, and what stands in front of it',
    );
  const change = await remedy(deps, look);
  const advice = change === undefined ? refusedAdvice(deps, look) : `set ${change}: with that it accepts this key`;
  return failed(`the ${name} registry refuses our token: ${reply.text}`, advice);
}

async function byCredentials({ name }: Side, { registry, timeout }: TokenDeps): Promise<Finding> {
  const reply = await ask(registry, { method: 'GET', target: '/v2/', access: [], timeout });
  if (reply.status === 200) return ok(`the ${name} registry accepts the credentials of the Docker configuration`);
  return failed(
    `the ${name} registry refuses the credentials of the Docker configuration: ${reply.text}`,
    `add credentials for ${registry.client.origin.host} to the Docker configuration that the proxy reads (docker login ${registry.client.origin.host})`,
  );
}

/** What to do where there are no credentials to ask with. */
function credentialsAdvice(reason: string, { url }: Side): string {
  if (/is not on PATH/.test(reason)) return "install that credential helper, or put it on the proxy's PATH";
  if (/token service/.test(reason)) return reachAdvice(reason);
  return `see the Docker configuration that the proxy reads, and its credentials for ${url.host}`;
}

/** Whether a registry accepts our tokens, or the credentials that we were given. */
export async function checkToken(side: Side, look: Look | Unreachable, deps: TokenDeps): Promise<Finding> {
  if (look.kind === 'unreachable' || !look.isRegistry) return skipped(`see ${side.name}`);
  if (look.status === 200) return ok(`the ${side.name} registry lets everybody in`);
  if (side.auth === 'none')
    return failed(`the ${side.name} registry asks for credentials`, `set ${side.authVariable} to key or docker-config`);
  try {
    return await (side.auth === 'key' ? byKey(side, look, deps) : byCredentials(side, deps));
  } catch (error) {
    if (!(error instanceof RegistryOutage)) throw error;
    const reason = reasonOf(deps.registry, error);
    const advice = reason.startsWith('no credentials:') ? credentialsAdvice(reason, side) : reachAdvice(reason);
    return failed(`${side.url.origin} (${side.variable}): ${reason}`, advice);
  }
}
