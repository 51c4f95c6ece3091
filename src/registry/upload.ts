// Uploads into one registry: one streaming PUT, or a mount from a repository that has the blob.
import type { Readable } from 'node:stream';
import { pullAccess, pushAccess } from '../auth/scope.ts';
import type { Digest } from '../oci/digest.ts';
import { answered, found, RegistryOutage, type Answer } from './answer.ts';
import type { Classify } from './classify.ts';
import type { Client } from './client.ts';
import { discard, type RegistryResponse } from './response.ts';

/** An upload session's URL (distribution-spec #post-then-put). */
export type Session = URL;

/** Uploads by (repository, digest); `timeout` in milliseconds to the headers of the session's answer. */
export interface Uploads {
  start(name: string, timeout: number): Promise<Answer<Session>>;
  /**
   * Sends the whole body; `size` undefined sends it chunked. There is no limit to the answer's headers: the caller
   * ends a body that makes no progress.
   */
  put(
    name: string,
    session: Session,
    digest: Digest,
    body: Readable,
    size: number | undefined,
  ): Promise<Answer<undefined>>;
  /** Links a blob of another repository; a session is given where the registry could not. */
  mount(name: string, digest: Digest, from: string, timeout: number): Promise<Answer<Session | undefined>>;
}

/** @see Uploads */
export function createUploads(client: Client, classify: Classify): Uploads {
  /** The session's URL on the registry's own origin: a Location made of a forwarded public host leads through us. */
  function sessionOf(response: RegistryResponse): Session {
    const location = response.headers['location'];
    if (typeof location !== 'string' || !URL.canParse(location, client.origin)) {
      throw new RegistryOutage(client.registry, 'upload session without a Location');
    }
    const { pathname, search } = new URL(location, client.origin);
    // Part by part: a path that begins with two slashes would be read as another host.
    const session = new URL(client.origin);
    session.pathname = pathname;
    session.search = search;
    return session;
  }

  async function post(
    name: string,
    query: string,
    from: string | undefined,
    timeout: number,
  ): Promise<RegistryResponse> {
    return client.send({
      method: 'POST',
      target: `/v2/${name}/blobs/uploads/${query}`,
      access: from === undefined ? [pushAccess(name)] : [pushAccess(name), pullAccess(from)],
      headers: { 'content-length': '0' },
      timeout,
    });
  }

  async function start(name: string, timeout: number): Promise<Answer<Session>> {
    const response = await post(name, '', undefined, timeout);
    if (response.statusCode !== 202) return classify(response, 'upload');
    discard(response);
    return found(sessionOf(response));
  }

  async function put(
    name: string,
    session: Session,
    digest: Digest,
    body: Readable,
    size: number | undefined,
  ): Promise<Answer<undefined>> {
    const target = new URL(session);
    target.searchParams.append('digest', digest);
    const response = await client.send({
      method: 'PUT',
      target,
      access: [pushAccess(name)],
      headers: {
        'content-type': 'application/octet-stream',
        ...(size === undefined ? {} : { 'content-length': String(size) }),
      },
      body,
      timeout: 0,
    });
    if (response.statusCode !== 201) return classify(response, 'upload');
    discard(response);
    return found(undefined);
  }

  async function mount(
    name: string,
    digest: Digest,
    from: string,
    timeout: number,
  ): Promise<Answer<Session | undefined>> {
    const response = await post(name, `?mount=${digest}&from=${encodeURIComponent(from)}`, from, timeout);
    if (response.statusCode !== 201 && response.statusCode !== 202) return classify(response, 'upload');
    discard(response);
    return found(response.statusCode === 202 ? sessionOf(response) : undefined);
  }

  return {
    start: (name, timeout) => answered(() => start(name, timeout)),
    put: (name, session, digest, body, size) => answered(() => put(name, session, digest, body, size)),
    mount: (name, digest, from, timeout) => answered(() => mount(name, digest, from, timeout)),
  };
}
