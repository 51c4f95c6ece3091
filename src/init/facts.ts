// What a registry does: whether it lists its repositories, deletes, and sends clients to an object storage.
import { catalogAccess, pullAccess } from '../auth/scope.ts';
import { ask, reasonOf, type Reply } from '../doctor/look.ts';
import { askEmptyDelete } from '../doctor/trial.ts';
import { isDeleteOff } from '../doctor/write.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { isName, parseReference } from '../oci/reference.ts';
import { RegistryOutage } from '../registry/answer.ts';
import { isRedirect } from '../registry/redirect.ts';
import type { Registry } from '../registry/registry.ts';
import { findKind, type Kind } from './kind.ts';

/** Whether a registry deletes; `unknown` with what it answered. */
export type Deletes =
  { readonly kind: 'on' | 'off' | 'read-only' | 'not asked' } | { readonly kind: 'unknown'; readonly reason: string };

/** Where a registry's blobs come from; `reason` says why a storage is not reached from here. */
export type Storage =
  | { readonly kind: 'registry' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'redirect'; readonly host: string; readonly reason?: string };

/** What was found out about a registry. */
export interface Facts {
  readonly kind: Kind;
  /** The answer to a request for the catalog: some names; undefined where it gives none. */
  readonly repositories: readonly string[] | undefined;
  readonly deletes: Deletes;
  readonly storage: Storage;
}

/** What it takes to find out; `isWritten`: whether a DELETE of what is not there may be sent. */
export interface FactsOptions {
  readonly timeout: number;
  readonly isWritten: boolean;
}

const REPOSITORIES = 5;

async function asked(work: () => Promise<Reply>): Promise<Reply | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RegistryOutage) return undefined;
    throw error;
  }
}

function listIn(reply: Reply | undefined, key: string): string[] | undefined {
  if (reply?.status !== 200) return undefined;
  try {
    const { [key]: list } = JSON.parse(reply.body) as Record<string, unknown>;
    if (!Array.isArray(list)) return undefined;
    return list.filter((one) => typeof one === 'string');
  } catch {
    return undefined;
  }
}

async function repositoriesOf(registry: Registry, timeout: number): Promise<string[] | undefined> {
  const target = `/v2/_catalog?n=${REPOSITORIES}`;
  return listIn(
    await asked(() => ask(registry, { method: 'GET', target, access: [catalogAccess()], timeout })),
    'repositories',
  );
}

async function deletesOf(registry: Registry, { timeout, isWritten }: FactsOptions): Promise<Deletes> {
  if (!isWritten) return { kind: 'not asked' };
  try {
    const reply = await askEmptyDelete(registry, { timeout });
    if (reply.status < 300 || reply.status === 404) return { kind: 'on' };
    if (isDeleteOff(reply)) return { kind: 'off' };
    return reply.status === 405 ? { kind: 'read-only' } : { kind: 'unknown', reason: reply.text };
  } catch (error) {
    if (!(error instanceof RegistryOutage)) throw error;
    return { kind: 'unknown', reason: reasonOf(registry, error) };
  }
}

interface Manifest {
  readonly config?: { readonly digest?: string };
  readonly manifests?: readonly { readonly digest?: string }[];
}

/** The config blob of an image; of an index's first image. */
async function configOf(
  registry: Registry,
  name: string,
  reference: string,
  timeout: number,
): Promise<Digest | undefined> {
  const parsed = parseReference(reference);
  const answer = parsed && (await registry.manifests.get(name, parsed, timeout));
  if (answer?.kind !== 'found') return undefined;
  const { config, manifests } = JSON.parse(answer.value.bytes.toString()) as Manifest;
  const child = manifests?.[0]?.digest;
  if (child !== undefined && child !== reference) return configOf(registry, name, child, timeout);
  return parseDigest(config?.digest);
}

/** A blob that the registry has, of one of these repositories. */
async function someBlob(
  registry: Registry,
  names: readonly string[],
  timeout: number,
): Promise<{ readonly name: string; readonly digest: Digest } | undefined> {
  for (const name of names.filter(isName)) {
    const target = `/v2/${name}/tags/list?n=1`;
    const reply = await asked(() => ask(registry, { method: 'GET', target, access: [pullAccess(name)], timeout }));
    const [tag] = listIn(reply, 'tags') ?? [];
    const digest = tag === undefined ? undefined : await configOf(registry, name, tag, timeout).catch(() => undefined);
    if (digest) return { name, digest };
  }
  return undefined;
}

/** By the answer to a request for one blob, whose redirect is then followed. */
async function storageOf(registry: Registry, names: readonly string[], timeout: number): Promise<Storage> {
  const blob = await someBlob(registry, names, timeout);
  if (!blob) return { kind: 'unknown' };
  const { name, digest } = blob;
  const target = `/v2/${name}/blobs/${digest}`;
  const reply = await asked(() => ask(registry, { method: 'HEAD', target, access: [pullAccess(name)], timeout }));
  if (!reply) return { kind: 'unknown' };
  const location = reply.header('location') ?? '';
  if (!isRedirect(reply.status) || !URL.canParse(location, registry.client.origin)) return { kind: 'registry' };
  const { host, origin } = new URL(location, registry.client.origin);
  if (origin === registry.client.origin.origin) return { kind: 'registry' };
  const answer = await registry.blobs.head(name, digest, timeout);
  if (answer.kind === 'found') return { kind: 'redirect', host };
  return { kind: 'redirect', host, reason: 'reason' in answer ? answer.reason : answer.kind };
}

/** Finds all of it out, with credentials that the registry accepts; nothing is written. */
export async function findFacts(registry: Registry, options: FactsOptions): Promise<Facts> {
  const { timeout } = options;
  const [kind, repositories, deletes] = await Promise.all([
    findKind(registry, options),
    repositoriesOf(registry, timeout),
    deletesOf(registry, options),
  ]);
  return { kind, repositories, deletes, storage: await storageOf(registry, repositories ?? [], timeout) };
}
