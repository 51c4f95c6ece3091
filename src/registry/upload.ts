// Uploads into one registry: one streaming PUT, or a mount from a repository that has the blob.
import { Readable } from 'node:stream';
import { deleteAccess, pullAccess, pushAccess } from '../auth/scope.ts';
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
   * Sends the whole body. There is no limit to the answer's headers: the caller ends it by `signal`. Of a body without a
   * `size` nothing is left in the registry where it breaks off: what was sent is then taken back.
   */
  put(
    name: string,
    session: Session,
    digest: Digest,
    body: Readable,
    size: number | undefined,
    signal?: AbortSignal,
  ): Promise<Answer<undefined>>;
  /** Links a blob of another repository; a session is given where the registry could not. */
  mount(name: string, digest: Digest, from: string, timeout: number): Promise<Answer<Session | undefined>>;
}

const OCTETS = { 'content-type': 'application/octet-stream' };
const CANCEL_TIMEOUT = 30_000;

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

  async function finish(
    name: string,
    session: Session,
    digest: Digest,
    content: { readonly body?: Readable; readonly size: number; readonly signal: AbortSignal | undefined },
  ): Promise<Answer<undefined>> {
    const target = new URL(session);
    target.searchParams.append('digest', digest);
    const { size, ...sent } = content;
    const response = await client.send({
      method: 'PUT',
      target,
      access: [pushAccess(name)],
      headers: { ...OCTETS, 'content-length': String(size) },
      timeout: 0,
      ...sent,
    });
    if (response.statusCode !== 201) return classify(response, 'upload');
    discard(response);
    return found(undefined);
  }

  /**
   * A body without a known end may have to be taken back. Of a PUT that is cut registries keep what came, and give no way
   * to remove it (Distribution 2.8.2: 404 for the session, until its purge of old uploads). So it is sent by a PATCH that
   * is ended as it should be in any case, and then finished or cancelled (distribution-spec #pushing-a-blob-in-chunks).
   */
  async function putOrCancel(
    name: string,
    session: Session,
    digest: Digest,
    body: Readable,
    signal: AbortSignal | undefined,
  ): Promise<Answer<undefined>> {
    let brokeOff: unknown;
    async function* whatCame(): AsyncGenerator<Buffer> {
      try {
        yield* body as AsyncIterable<Buffer>;
      } catch (error) {
        brokeOff = error;
      }
    }
    const response = await client.send({
      method: 'PATCH',
      target: session,
      access: [pushAccess(name)],
      headers: OCTETS,
      body: Readable.from(whatCame(), { objectMode: false }),
      timeout: 0,
      signal,
    });
    if (response.statusCode !== 202) return classify(response, 'upload');
    discard(response);
    const reached = sessionOf(response);
    if (brokeOff === undefined) return finish(name, reached, digest, { size: 0, signal });
    const cancel = {
      method: 'DELETE',
      target: reached,
      access: [deleteAccess(name)],
      timeout: CANCEL_TIMEOUT,
    } as const;
    discard(await client.send(cancel));
    return { kind: 'unavailable', reason: `the body of an upload broke off: ${String(brokeOff)}` };
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
    put: (name, session, digest, body, size, signal) =>
      answered(() =>
        size === undefined
          ? putOrCancel(name, session, digest, body, signal)
          : finish(name, session, digest, { body, size, signal }),
      ),
    mount: (name, digest, from, timeout) => answered(() => mount(name, digest, from, timeout)),
  };
}
