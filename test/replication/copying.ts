// What the tests of copying look at: requests to the secondary, and what it has in the end.
import { Copier, type CopyResult } from '../../src/replication/copy.ts';
import type { Reference } from '../../src/oci/reference.ts';
import type { Rig, RigSites } from '../fill/rig.ts';
import { mediaTypes } from '../support/image.ts';
import type { RelayMatch } from '../support/relay.ts';

/** Copies without a database: neither locations nor damage are known. */
export function copyOf(
  { primary, secondary, filler, store }: Rig,
  options: { readonly parallel?: number } = {},
): (name: string, reference: Reference) => Promise<CopyResult> {
  const copier = new Copier({ primary, secondary }, { filler, store }, options);
  return (name, reference) => copier.copy(name, reference);
}

export const isManifestPut: RelayMatch = ({ method, path }) => method === 'PUT' && path.includes('/manifests/');
export const isBlobGet: RelayMatch = ({ method, path }) => method === 'GET' && path.includes('/blobs/');

/** What was put into the secondary, in its order: digests of blobs, references of manifests. */
export function puts(sites: RigSites): string[] {
  return sites.localRelay.requests
    .filter(({ method, status }) => method === 'PUT' && status === 201)
    .map(({ path }) => decodeURIComponent(/digest=([^&]+)/.exec(path)?.[1] ?? path.slice(path.lastIndexOf('/') + 1)));
}

/** The digest that a reference has in the secondary itself. */
export async function digestHere(sites: RigSites, repository: string, reference: string): Promise<string | null> {
  const headers = { accept: Object.values(mediaTypes).join(', ') };
  const url = `${sites.secondary.url}/v2/${repository}/manifests/${reference}`;
  return (await fetch(url, { method: 'HEAD', headers })).headers.get('docker-content-digest');
}
