// The contenders of a pull: the registry itself, the registry as a pull-through cache, and the proxy.
import { manifest, type Manifest } from '../../test/support/image.ts';
import { blob } from '../../test/support/content.ts';
import { startRegistry, type Registry } from '../../test/support/registry.ts';
import { startSites, type Sites } from '../../test/support/sites.ts';
import type { Bench } from './bench.ts';
import { environment } from './environment.ts';
import type { WireRequest } from './wire.ts';
import { startProxyProcess, type ProxyProcess } from './proxy-process.ts';
import { taggedWith, writeTags, type Tagged } from './tagged-storage.ts';

/** Why the cache is measured without tokens. */
export const CACHE_NOTE =
  'pull-through cache: docker-registry with proxy.remoteurl; it cannot mint tokens, so it and its upstream check none';

/** Two sites that are equal, and a proxy before the second. */
export interface EqualSites {
  readonly sites: Sites;
  readonly proxy: ProxyProcess;
  readonly tagged: Tagged;
  close(): Promise<void>;
}

function imageOf(seed: string): Manifest {
  return manifest({ layers: Array.from({ length: 8 }, (_, nth) => blob(4_000, `${seed} ${nth}`)) });
}

/** Starts both sites with one repository of `tags` tags each, and the proxy. */
export async function startEqualSites({ bin }: Bench, name: string, tags: number): Promise<EqualSites> {
  const sites = await startSites();
  const tagged = taggedWith(imageOf(name), `bench/${name}`, 1, tags);
  await Promise.all([
    writeTags(sites.primary, sites.primaryTarget, tagged),
    writeTags(sites.secondary, sites.secondaryTarget, tagged),
  ]);
  // Replication has nothing to do here, and does not do it meanwhile.
  const proxy = await startProxyProcess(bin, environment(sites, { GEO_REPLICATION: 'off' }));
  return {
    sites,
    proxy,
    tagged,
    async close() {
      await proxy.stop();
      await sites.close();
    },
  };
}

/** Starts a pull-through cache of a registry, with an upstream that serves the same storage to everyone. */
export async function startCache(
  primary: Registry,
  upstreamUrl?: (open: Registry) => Promise<string>,
): Promise<{ readonly port: number; readonly pid: number; close(): Promise<void> }> {
  const open = await startRegistry({ name: 'open primary', dir: primary.dir });
  const remoteUrl = (await upstreamUrl?.(open)) ?? open.url;
  const cache = await startRegistry({ name: 'cache', remoteUrl });
  return {
    port: cache.port,
    pid: cache.pid,
    async close() {
      await cache.close();
      await open.close();
    },
  };
}

/** Requests of a repository's manifests. */
export function manifestRequests(
  repository: string,
  references: readonly string[],
  headers: Record<string, string>,
  method: 'GET' | 'HEAD' = 'GET',
): WireRequest[] {
  return references.map((reference) => ({ method, path: `/v2/${repository}/manifests/${reference}`, headers }));
}
