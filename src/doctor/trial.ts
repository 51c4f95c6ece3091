// A trial of the local registry: a tiny image is pushed into a repository of its own and deleted again, and manifests
// that are wrong on purpose tell by their refusal what else it would take. Nothing of it stays, whatever happens.
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { libtrustId } from '../auth/key-id.ts';
import { catalogAccess, deleteAccess, pushAccess } from '../auth/scope.ts';
import { digestOf, parseDigest, type Digest } from '../oci/digest.ts';
import { MANIFEST } from '../oci/media-types.ts';
import { RegistryOutage } from '../registry/answer.ts';
import type { RegistryRequest } from '../registry/client.ts';
import type { Registry } from '../registry/registry.ts';
import { ask, reasonOf, type Reply } from './look.ts';
import { REPOSITORY } from './token.ts';

/** What the registry answered; undefined where it was not asked, since it refused something before. */
export interface Trial {
  /** A DELETE of what is not there. */
  readonly emptyDelete: Reply;
  /** The start of an upload. */
  readonly upload: Reply;
  readonly blob?: Reply;
  readonly manifest?: Reply;
  readonly schema1?: Reply;
  readonly foreignLayer?: Reply;
  /** Why it could not be asked any further. */
  readonly outage?: string;
  /** The DELETEs of manifest and blob. */
  readonly deletes: readonly Reply[];
  /** What could not be deleted. */
  readonly leftBehind: readonly Digest[];
  /** Whether the catalog still names the repository: no registry's API deletes one. */
  readonly isInCatalog: boolean;
}

/** Asks within the time that is left. */
type Ask = (request: Omit<RegistryRequest, 'timeout'>) => Promise<Reply>;

const BASE = `/v2/${REPOSITORY}`;
const PUSH = [pushAccess(REPOSITORY)];
const DELETE = [deleteAccess(REPOSITORY)];
const ABSENT = digestOf(Buffer.from('a blob that no registry has'));

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function imageOf(config: Buffer): Buffer {
  const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', size: config.length };
  const image = { schemaVersion: 2, mediaType: MANIFEST.ociManifest, layers: [] };
  return json({ ...image, config: { ...descriptor, digest: digestOf(config) } });
}

/** Refused as a foreign layer where those are not allowed, and otherwise for its config, which is missing. */
const FOREIGN = json({
  schemaVersion: 2,
  mediaType: MANIFEST.dockerSchema2,
  config: { mediaType: 'application/vnd.docker.container.image.v1+json', size: 2, digest: ABSENT },
  layers: [
    {
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      size: 2,
      digest: ABSENT,
      urls: ['https://example.com/layer'],
    },
  ],
});

function publicJwk(key: KeyObject): object {
  const { crv, kty, x, y } = key.export({ format: 'jwk' });
  return { crv, kid: libtrustId(key), kty, x, y };
}

/** Docker's schema 1 with a signature that is wrong: refused for that where schema 1 is taken, and otherwise unread. */
function wronglySigned(): Buffer {
  const document = {
    schemaVersion: 1,
    name: REPOSITORY,
    tag: 'doctor',
    architecture: 'amd64',
    fsLayers: [],
    history: [],
  };
  const payload = JSON.stringify(document, undefined, 3);
  const formatLength = payload.lastIndexOf('\n}');
  const formatTail = Buffer.from(payload.slice(formatLength)).toString('base64url');
  const header = { alg: 'ES256', jwk: publicJwk(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey) };
  const signature = randomBytes(64).toString('base64url');
  const signatures = [{ header, signature, protected: json({ formatLength, formatTail }).toString('base64url') }];
  return Buffer.from(JSON.stringify({ ...document, signatures }, undefined, 3));
}

function manifestPut(reference: string, mediaType: string, body: Buffer): Parameters<Ask>[0] {
  const target = `${BASE}/manifests/${reference}`;
  return { method: 'PUT', target, access: PUSH, headers: { 'content-type': mediaType }, body };
}

/** The session's URL on the registry's own origin, whatever host it believes to be. */
function sessionOf({ client }: Registry, upload: Reply): URL | undefined {
  const location = upload.header('location') ?? '';
  if (upload.status !== 202 || !URL.canParse(location, client.origin)) return undefined;
  const { pathname, search } = new URL(location, client.origin);
  return new URL(pathname + search, client.origin);
}

function putBlob(ask: Ask, session: URL, blob: Buffer): Promise<Reply> {
  const target = new URL(session);
  target.searchParams.append('digest', digestOf(blob));
  const headers = { 'content-type': 'application/octet-stream' };
  return ask({ method: 'PUT', target, access: PUSH, headers, body: blob });
}

/** What was stored, the last first, and an upload that was not ended. */
interface Traces {
  readonly stored: { readonly kind: 'manifests' | 'blobs'; readonly digest: Digest }[];
  session: URL | undefined;
}

async function push(ask: Ask, traces: Traces): Promise<Partial<Trial>> {
  const config = json({ architecture: 'amd64', os: 'linux', doctor: randomBytes(16).toString('hex') });
  const image = imageOf(config);
  // Before it is sent: an answer that does not come says nothing about what was stored.
  traces.stored.unshift({ kind: 'blobs', digest: digestOf(config) });
  const blob = await putBlob(ask, traces.session!, config);
  if (blob.status !== 201) return { blob };
  traces.session = undefined;
  const put = async (reference: string, mediaType: string, body: Buffer): Promise<Reply> => {
    const reply = await ask(manifestPut(reference, mediaType, body));
    const digest = parseDigest(reply.header('docker-content-digest')) ?? digestOf(body);
    if (reply.status === 201) traces.stored.unshift({ kind: 'manifests', digest });
    return reply;
  };
  traces.stored.unshift({ kind: 'manifests', digest: digestOf(image) });
  const manifest = await ask(manifestPut(digestOf(image), MANIFEST.ociManifest, image));
  if (manifest.status !== 201) return { blob, manifest };
  const schema1 = await put('doctor', MANIFEST.dockerSchema1Signed, wronglySigned());
  return { blob, manifest, schema1, foreignLayer: await put('doctor', MANIFEST.dockerSchema2, FOREIGN) };
}

/** Whether a DELETE was refused: what is not there is no refusal. */
export function isRefused({ status }: Reply): boolean {
  return status >= 300 && status !== 404;
}

async function cleanUp(
  ask: Ask,
  { stored, session }: Traces,
): Promise<Pick<Trial, 'deletes' | 'leftBehind' | 'isInCatalog'>> {
  const [deletes, leftBehind]: [Reply[], Digest[]] = [[], []];
  if (session) await ask({ method: 'DELETE', target: session, access: DELETE }).catch(() => undefined);
  for (const { kind, digest } of stored) {
    const reply = await ask({ method: 'DELETE', target: `${BASE}/${kind}/${digest}`, access: DELETE }).catch(
      () => undefined,
    );
    // A registry that deletes no blobs collects them itself when no manifest names them.
    if (reply?.status === 405 && kind === 'blobs') continue;
    if (reply) deletes.push(reply);
    if (!reply || isRefused(reply)) leftBehind.push(digest);
  }
  const isInCatalog = stored.length > 0 && (await isListed(ask));
  return { deletes, leftBehind, isInCatalog };
}

/** Whether the catalog names the repository; a registry that does not say counts as one that does not. */
async function isListed(ask: Ask): Promise<boolean> {
  const before = REPOSITORY.slice(0, -1);
  const target = `/v2/_catalog?n=1&last=${encodeURIComponent(before)}`;
  const reply = await ask({ method: 'GET', target, access: [catalogAccess()] }).catch(() => undefined);
  return reply?.status === 200 && reply.body.includes(JSON.stringify(REPOSITORY));
}

const EMPTY_DELETE = { method: 'DELETE', target: `${BASE}/manifests/${ABSENT}`, access: DELETE } as const;

/** Asks a registry to delete a manifest that no registry has: its answer tells whether deletes are on. @throws RegistryOutage */
export function askEmptyDelete(registry: Registry, { timeout }: { readonly timeout: number }): Promise<Reply> {
  return ask(registry, { ...EMPTY_DELETE, timeout });
}

/**
 * Tries to write and to delete. A registry that deletes nothing is not written to: an upload is begun and given up.
 * Takes `time` ms at the most, and as much again for cleaning up; `timeout` (ms) for each answer.
 * @throws RegistryOutage
 */
export async function tryRegistry(
  registry: Registry,
  { timeout, time }: { readonly timeout: number; readonly time: number },
): Promise<Trial> {
  const asking = (until: number): Ask => {
    return (request) =>
      ask(registry, { ...request, timeout: Math.max(1, Math.min(timeout, until - performance.now())) });
  };
  const within = asking(performance.now() + time);
  const emptyDelete = await within(EMPTY_DELETE);
  const headers = { 'content-length': '0' };
  const upload = await within({ method: 'POST', target: `${BASE}/blobs/uploads/`, access: PUSH, headers });
  const traces: Traces = { stored: [], session: sessionOf(registry, upload) };
  // Of a repository that is not there registries say anything (404, 400, 500): these alone are about deleting.
  const canDelete = ![401, 403, 405].includes(emptyDelete.status);
  let pushed: Partial<Trial> = {};
  let cleaned: Awaited<ReturnType<typeof cleanUp>>;
  try {
    if (traces.session && canDelete) pushed = await push(within, traces);
  } catch (error) {
    if (!(error instanceof RegistryOutage)) throw error;
    pushed = { outage: reasonOf(registry, error) };
  } finally {
    cleaned = await cleanUp(asking(performance.now() + time), traces);
  }
  return { emptyDelete, upload, ...pushed, ...cleaned };
}
