// Images that are at both sites before anybody pulls them, and looking into the local registry past the proxy.
import { request } from 'undici';
import type { Manifest } from '../support/image.ts';
import type { ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import type { Relay } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';

/** Pushes an image to both registries themselves, as if it had been replicated. */
export async function pushToBoth(site: ProxySite, repository: string, tag: string, image: Manifest): Promise<void> {
  await pushImage(site.primaryTarget(repository), tag, image);
  await pushImage(site.secondaryTarget(repository), tag, image);
}

/** The digest that the local registry itself has for a reference; undefined where it has none. */
export async function localDigest(site: ProxySite, repository: string, reference: string): Promise<string | undefined> {
  const { url, token } = site.secondaryTarget(repository);
  const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, '.concat(
    'application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json',
  );
  const { statusCode, headers, body } = await request(`${url}/v2/${repository}/manifests/${reference}`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${token}`, accept },
  });
  await body.dump();
  return statusCode === 200 ? String(headers['docker-content-digest']) : undefined;
}

/** Whether the local registry itself has a blob. */
export async function hasLocalBlob(site: ProxySite, repository: string, digest: string): Promise<boolean> {
  const { url, token } = site.secondaryTarget(repository);
  const { statusCode, body } = await request(`${url}/v2/${repository}/blobs/${digest}`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${token}` },
  });
  await body.dump();
  // A registry that redirects to its storage has looked.
  return statusCode === 200 || statusCode === 307;
}

/** Waits until the local registry has this digest for a reference. */
export async function untilLocal(
  site: ProxySite,
  repository: string,
  reference: string,
  digest: string,
): Promise<void> {
  await waitFor(async () => (await localDigest(site, repository, reference)) === digest, {
    what: `${repository}:${reference} in the secondary`,
    // Replication waits for some seconds where a registry was away.
    timeout: 20_000,
  });
}

/** Ends a relay's rules, and what still hangs by them: a probe that does would open a breaker later. */
async function calmRelay(relay: Relay): Promise<void> {
  const hangs = relay.requests.some(({ state }) => state === 'open');
  relay.reset();
  if (hangs) await relay.down();
  await relay.up();
}

/** Ends all rules, brings both relays up, and waits until no circuit breaker is open. */
export async function calm(site: ProxySite): Promise<void> {
  await Promise.all([calmRelay(site.relay), calmRelay(site.localRelay)]);
  await waitFor(async () => (await site.metric('breaker_open')) === 0, { what: 'both breakers to close' });
  site.relay.reset();
  site.localRelay.reset();
}
