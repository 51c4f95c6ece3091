// What is in the secondary registry itself, asked past the proxy and its relay.
import type { Sites } from '../support/sites.ts';
import { waitFor } from '../support/tool.ts';

/** Whether the secondary gives every byte of a blob under a repository. */
export async function isStored(site: Sites, repository: string, blob: { digest: string; size: number }) {
  const { url, token } = site.secondaryTarget(repository);
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${url}/v2/${repository}/blobs/${blob.digest}`, { headers });
  const body = await response.arrayBuffer();
  return response.status === 200 && body.byteLength === blob.size;
}

/** Waits until the secondary has a blob under a repository. */
export async function untilStored(site: Sites, repository: string, blob: { digest: string; size: number }) {
  await waitFor(() => isStored(site, repository, blob), { what: `${blob.digest} in the secondary's ${repository}` });
}
