// The kind of a registry, recognised by answers that only that kind gives.
import { pullAccess } from '../auth/scope.ts';
import { ask, type Reply } from '../doctor/look.ts';
import { REPOSITORY } from '../doctor/token.ts';
import { RegistryOutage } from '../registry/answer.ts';
import type { Registry } from '../registry/registry.ts';

/** A kind of registry; `other` also where it refuses our credentials. */
export interface Kind {
  readonly id: 'gitlab' | 'distribution' | 'zot' | 'harbor' | 'other';
  /** For people: `GitLab's registry with its metadata database`. */
  readonly label: string;
  /** Its version, as far as it tells. */
  readonly version?: string;
  /** GitLab's metadata database. */
  readonly hasDatabase?: boolean;
}

/** Asks with our credentials or without any; undefined where the registry cannot be asked. */
type Probe = (target: string, access?: 'pull' | 'none') => Promise<Reply | undefined>;

function json(reply: Reply | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(reply?.body ?? '');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function detailOf(reply: Reply | undefined): Record<string, unknown> {
  const { errors } = json(reply) as { errors?: { detail?: unknown }[] };
  const detail = Array.isArray(errors) ? errors[0]?.detail : undefined;
  return typeof detail === 'object' && detail !== null ? (detail as Record<string, unknown>) : {};
}

function gitlab(hasDatabase: boolean | undefined, version?: string): Kind {
  const how = { true: ' with its metadata database', false: ' without a metadata database', undefined: '' };
  const label = `GitLab's registry${how[`${hasDatabase}`]}`;
  return {
    id: 'gitlab',
    label,
    ...(hasDatabase === undefined ? {} : { hasDatabase }),
    ...(version ? { version } : {}),
  };
}

/** By the headers of `/v2/`, which come with 200 only; else by GitLab's own API, which only a database has. */
async function asGitlab(probe: Probe): Promise<Kind | undefined> {
  const base = await probe('/v2/');
  const version = base?.header('gitlab-container-registry-version');
  const database = base?.header('gitlab-container-registry-database-enabled');
  if (version !== undefined) return gitlab(database === undefined ? undefined : database === 'true', version);
  const own = await probe('/gitlab/v1/', 'none');
  if (own?.status === 401 && own.codes.includes('UNAUTHORIZED')) return gitlab(true);
  const isOpen = own?.status === 200 && own.header('gitlab-container-registry-version') !== undefined;
  return isOpen ? gitlab(true, own.header('gitlab-container-registry-version')) : undefined;
}

async function asHarbor(probe: Probe): Promise<Kind | undefined> {
  const reply = await probe('/api/v2.0/ping', 'none');
  const isHarbor = reply?.status === 200 && /^\s*"?Pong"?\s*$/.test(reply.body);
  return isHarbor ? { id: 'harbor', label: 'Harbor' } : undefined;
}

/** By its management extension, else (a minimal build) by the description in the details of its errors. */
async function asZot(probe: Probe, missing: Reply | undefined): Promise<Kind | undefined> {
  const { distSpecVersion, releaseTag } = json(await probe('/v2/_zot/ext/mgmt'));
  const isManaged = typeof distSpecVersion === 'string';
  if (!isManaged && typeof detailOf(missing)['description'] !== 'string') return undefined;
  return { id: 'zot', label: 'zot', ...(isManaged && typeof releaseTag === 'string' ? { version: releaseTag } : {}) };
}

/** Distribution 3 refuses a negative number of tags; 2.8 reads none, and names the repository in its error. */
function asDistribution({ status, codes, header, ...reply }: Reply): Kind | undefined {
  if (header('docker-distribution-api-version') === undefined) return undefined;
  const detail = detailOf({ status, codes, header, ...reply });
  if (status === 400 && codes.includes('PAGINATION_NUMBER_INVALID'))
    return { id: 'distribution', label: 'Distribution 3' };
  const isTwo = status === 404 && codes.includes('NAME_UNKNOWN') && detail['name'] === REPOSITORY;
  return isTwo ? { id: 'distribution', label: 'Distribution 2' } : undefined;
}

/** Finds what a registry is, with credentials that it accepts; `timeout` in ms. */
export async function findKind(registry: Registry, { timeout }: { readonly timeout: number }): Promise<Kind> {
  const probe: Probe = async (target, access) => {
    const scope = access === 'none' ? undefined : access === 'pull' ? [pullAccess(REPOSITORY)] : [];
    try {
      return await ask(registry, { method: 'GET', target, access: scope, timeout });
    } catch (error) {
      if (error instanceof RegistryOutage) return undefined;
      throw error;
    }
  };
  const [own, harbor] = await Promise.all([asGitlab(probe), asHarbor(probe)]);
  const found = own ?? harbor;
  if (found) return found;
  const missing = await probe(`/v2/${REPOSITORY}/tags/list?n=-1`, 'pull');
  const known = (await asZot(probe, missing)) ?? (missing && asDistribution(missing));
  return known ?? { id: 'other', label: 'a registry of another kind' };
}
