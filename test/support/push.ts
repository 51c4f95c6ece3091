// Pushing and reading through a registry's HTTP API, as a client with a token does.
import { request, type Dispatcher } from 'undici';
import type { Blob } from './content.ts';
import type { Manifest } from './image.ts';

export interface Target {
  /** The registry's URL without a path. */
  readonly url: string;
  readonly repository: string;
  /** Sent as Bearer; nothing is sent when absent. */
  readonly token?: string | undefined;
}

const authorization = ({ token }: Target): Record<string, string> => {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
};

async function expectStatus(response: Dispatcher.ResponseData, status: number, what: string): Promise<void> {
  const text = await response.body.text();
  if (response.statusCode !== status) throw new Error(`${what}: ${response.statusCode} ${text}`);
}

async function startUpload(target: Target): Promise<URL> {
  const uploads = `${target.url}/v2/${target.repository}/blobs/uploads/`;
  const response = await request(uploads, { method: 'POST', headers: authorization(target) });
  await expectStatus(response, 202, `POST ${uploads}`);
  return new URL(String(response.headers['location']), uploads);
}

/** Uploads a blob in one PUT. Throws an Error with the registry's answer when it is refused. */
export async function pushBlob(target: Target, blob: Blob): Promise<void> {
  const location = await startUpload(target);
  location.searchParams.append('digest', blob.digest);
  const headers = {
    ...authorization(target),
    'content-type': 'application/octet-stream',
    'content-length': String(blob.size),
  };
  // An empty stream would be sent chunked, against the length.
  const body = blob.size === 0 ? '' : blob.open();
  await expectStatus(await request(location, { method: 'PUT', headers, body }), 201, `PUT of ${blob.digest}`);
}

/** Puts a manifest on a tag or its digest. Throws an Error with the registry's answer when it is refused. */
export async function putManifest(target: Target, reference: string, manifest: Manifest): Promise<void> {
  const url = `${target.url}/v2/${target.repository}/manifests/${reference}`;
  const headers = { ...authorization(target), 'content-type': manifest.mediaType };
  await expectStatus(await request(url, { method: 'PUT', headers, body: manifest.bytes }), 201, `PUT ${url}`);
}

/** Pushes all that the manifest needs (blobs, then children), and it itself to the tag, or by digest without one. */
export async function pushImage(target: Target, tag: string | undefined, manifest: Manifest): Promise<void> {
  await Promise.all(manifest.blobs.map((blob) => pushBlob(target, blob)));
  for (const child of manifest.children) await pushImage(target, undefined, child);
  await putManifest(target, tag ?? manifest.digest, manifest);
}

/** Deletes a manifest by digest, and with it all its tags. */
export async function deleteManifest(target: Target, digest: string): Promise<void> {
  const url = `${target.url}/v2/${target.repository}/manifests/${digest}`;
  await expectStatus(await request(url, { method: 'DELETE', headers: authorization(target) }), 202, `DELETE ${url}`);
}
