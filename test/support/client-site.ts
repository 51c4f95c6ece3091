// Two sites, the proxy and their people, as container clients meet them.
import { join } from 'node:path';
import type { SmallBlob } from './content.ts';
import { dockerManifest, mediaTypes, type Manifest } from './image.ts';
import { createOciLayout } from './oci-layout.ts';
import { startProxySite, type ProxySite } from './proxy.ts';
import { pushImage } from './push.ts';
import type { RelayRequest } from './relay.ts';
import { tempDir, waitFor } from './tool.ts';

/** May pull and push in `group/…`; everyone may pull from `public/…`. */
export const alice = { user: 'alice', password: 'wonderland' } as const;

/** One request that the proxy answered, from its log. */
export interface Answered {
  readonly method: string;
  readonly path: string;
  readonly client: string;
  readonly status: number;
  readonly origin?: string;
}

function pathOf(line: Record<string, unknown>): unknown {
  const { repository, kind, reference, digest } = line;
  const noun = kind === 'push' ? 'manifest' : String(kind);
  return repository === undefined ? line['path'] : `/v2/${String(repository)}/${noun}s/${String(reference ?? digest)}`;
}

export interface BusyboxOptions {
  readonly repository: string;
  readonly tag?: string;
  /** What `cat /message` prints in it. */
  readonly message: string;
  /** The manifest's form; `oci` when absent. */
  readonly form?: 'oci' | 'docker';
}

export interface ClientSite extends ProxySite {
  /** What clients write before a repository: `127.0.0.1:<port>` of the proxy. */
  readonly registry: string;
  /** The same of the primary registry, as the refused push tells it. */
  readonly primaryRegistry: string;
  /** What the proxy says to a push. */
  readonly refusal: string;
  /** A busybox image with `/message` (pushed by nobody yet). */
  busybox(options: Pick<BusyboxOptions, 'message' | 'form'>): Promise<Manifest>;
  /** Pushes such an image to the primary registry, past the relay. */
  pushBusybox(options: BusyboxOptions): Promise<Manifest>;
  /** Waits until the secondary registry has this manifest on this tag. */
  stored(repository: string, tag: string, digest: string): Promise<void>;
  /** What the proxy answered since the last call of `forget`. */
  answered(): readonly Answered[];
  /** Forgets what crossed the relay and what the proxy answered. */
  forget(): void;
}

const { ociManifest, ociIndex, dockerManifest: schema2, dockerList } = mediaTypes;
const manifestTypes = [ociManifest, ociIndex, schema2, dockerList].join(', ');

/** Whether a request that crossed the relay asked for a blob's bytes. */
export function isBlobPull({ method, path }: RelayRequest): boolean {
  return method === 'GET' && path.includes('/blobs/sha256:');
}

function inDockerForm({ blobs }: Manifest): Manifest {
  const [config, ...layers] = blobs as SmallBlob[];
  return dockerManifest({ ...(config === undefined ? {} : { config }), layers });
}

/** Starts it all. The push host is left to its default, the primary's: the relay, so that what it says can be done. */
export async function startClientSite(): Promise<ClientSite> {
  const scratch = await tempDir();
  const site = await startProxySite({
    users: { [alice.user]: alice.password },
    projects: { [alice.user]: { 'group/**': ['pull', 'push', 'delete'] } },
    publicProjects: ['public/**'],
  });
  const primaryRegistry = new URL(site.relay.url).host;

  const busybox: ClientSite['busybox'] = async ({ message, form = 'oci' }) => {
    const { manifest } = await createOciLayout({ dir: join(scratch.path, message), message });
    return form === 'oci' ? manifest : inDockerForm(manifest);
  };
  const digestIn = async (repository: string, tag: string): Promise<string | null> => {
    const { url, token } = site.secondaryTarget(repository);
    const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${token}`, accept: manifestTypes },
    });
    return response.headers.get('docker-content-digest');
  };

  return {
    ...site,
    registry: new URL(site.proxy.url).host,
    primaryRegistry,
    refusal: `unsupported: this registry is a read-only copy; push to ${primaryRegistry} instead`,
    busybox,
    async pushBusybox({ repository, tag = 'v1', ...options }) {
      const manifest = await busybox(options);
      await pushImage(site.primaryTarget(repository), tag, manifest);
      return manifest;
    },
    async stored(repository, tag, digest) {
      const isThere = async (): Promise<boolean> => (await digestIn(repository, tag)) === digest;
      await waitFor(isThere, { what: `${repository}:${tag} in the secondary registry` });
    },
    answered: () =>
      site.log
        .filter(({ msg }) => msg === 'answered')
        .map((line) => ({ ...line, path: pathOf(line) })) as unknown as Answered[],
    forget() {
      site.relay.reset();
      site.log.length = 0;
    },
    async close() {
      await site.close();
      await scratch.remove();
    },
  };
}
