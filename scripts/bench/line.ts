// A secondary site at the end of a long line: a link before the primary, and the proxy that has nothing yet.
import type { Blob } from '../../test/support/content.ts';
import { startSites, type Sites } from '../../test/support/sites.ts';
import { waitFor } from '../../test/support/tool.ts';
import type { Bench } from './bench.ts';
import { environment, pullHeaders } from './environment.ts';
import { startLink, type Link } from './link.ts';
import type { LinkOptions } from './link-process.ts';
import { startProxyProcess, type ProxyProcess } from './proxy-process.ts';
import type { WireRequest } from './wire.ts';

/** Everything of it. */
export interface Line {
  readonly sites: Sites;
  readonly link: Link;
  readonly proxy: ProxyProcess;
  /** Seconds that `clients` clients take for all of a blob, to the last byte of the last one. */
  pull(port: number, blob: Blob, clients?: number): Promise<number>;
  /** Waits until the secondary registry has a blob: what is still being stored would disturb the next turn. */
  stored(blob: Blob): Promise<void>;
  close(): Promise<void>;
}

/** The proxy as it is by default; blobs and images are pushed to `repository` of the primary, past the link. */
export async function startLine(
  { bin, load }: Bench,
  repository: string,
  options: Omit<LinkOptions, 'target'>,
): Promise<Line> {
  const sites = await startSites();
  const link = await startLink({ ...options, target: sites.primary.port });
  const proxy = await startProxyProcess(bin, environment(sites, { GEO_PRIMARY_URL: link.url }));
  return {
    sites,
    link,
    proxy,
    async pull(port, blob, clients = 1) {
      const path = `/v2/${repository}/blobs/${blob.digest}`;
      const request: WireRequest = { method: 'GET', path, headers: pullHeaders(sites, repository) };
      const requests = Array.from({ length: clients }, () => request);
      const { seconds, bytes } = await load.runAll({ kind: 'download', port, requests, atOnce: clients });
      if (bytes !== clients * blob.size) throw new Error(`${bytes} bytes for ${clients} clients`);
      return seconds;
    },
    async stored(blob) {
      const url = `${sites.secondary.url}/v2/${repository}/blobs/${blob.digest}`;
      const headers = pullHeaders(sites, repository);
      const isStored = async (): Promise<boolean> => (await fetch(url, { method: 'HEAD', headers })).status === 200;
      await waitFor(isStored, { what: `${blob.digest} in the secondary registry`, timeout: 60_000 });
    },
    async close() {
      await proxy.stop();
      link.stop();
      await sites.close();
    },
  };
}
