// Uploads into one registry: one streamed body, or a mount from a repository that has the blob.
import { Readable } from 'node:stream';
import { deleteAccess, pullAccess, pushAccess } from '../auth/scope.ts';
import type { Digest } from '../oci/digest.ts';
import { answered, RegistryOutage, type Answer } from './answer.ts';
import { Noun } from './noun.ts';
import { discard, type RegistryResponse } from './response.ts';

/** An upload session's URL (distribution-spec #post-then-put). */
type Session = URL;

const OCTETS = { 'content-type': 'application/octet-stream' };
const CANCEL_TIMEOUT = 30_000;

/** A body that ends without an error, and the error that its source ended with. */
function withoutError(source: Readable): { readonly body: Readable; readonly error: () => unknown } {
  let failure: unknown;
  async function* read(): AsyncGenerator<Buffer> {
    try {
      yield* source as AsyncIterable<Buffer>;
    } catch (error) {
      failure = error;
    }
  }
  return { body: Readable.from(read(), { objectMode: false }), error: () => failure };
}

/** Uploads by (repository, digest); `timeout` in milliseconds to the headers of the session's answer. */
export class Uploads extends Noun {
  start(name: string, timeout: number): Promise<Answer<Session>> {
    return answered(async () => {
      const response = await this.#post(name, '', undefined, timeout);
      return this.conclude(response, 'upload', [202], () => this.#sessionOf(response));
    });
  }

  /** Sends the whole body; there is no time limit. Without a `size`, a body that breaks off is cancelled in the registry. */
  put(
    name: string,
    session: Session,
    digest: Digest,
    body: Readable,
    size: number | undefined,
    signal?: AbortSignal,
  ): Promise<Answer<undefined>> {
    return answered(() =>
      size === undefined
        ? this.#patch(name, session, digest, body, signal)
        : this.#finish(name, session, digest, { body, size, signal }),
    );
  }

  /** Links a blob of another repository; the value is a session where the registry could not. */
  mount(name: string, digest: Digest, from: string, timeout: number): Promise<Answer<Session | undefined>> {
    return answered(async () => {
      const response = await this.#post(name, `?mount=${digest}&from=${encodeURIComponent(from)}`, from, timeout);
      const session = (): Session | undefined => (response.statusCode === 202 ? this.#sessionOf(response) : undefined);
      return this.conclude(response, 'upload', [201, 202], session);
    });
  }

  #post(name: string, query: string, from: string | undefined, timeout: number): Promise<RegistryResponse> {
    return this.client.send({
      method: 'POST',
      target: `/v2/${name}/blobs/uploads/${query}`,
      access: from === undefined ? [pushAccess(name)] : [pushAccess(name), pullAccess(from)],
      headers: { 'content-length': '0' },
      timeout,
    });
  }

  /** The session's URL on the registry's own origin: a Location with its public host would lead through this proxy. */
  #sessionOf(response: RegistryResponse): Session {
    const { origin, registry } = this.client;
    const location = response.headers['location'];
    if (typeof location !== 'string' || !URL.canParse(location, origin)) {
      throw new RegistryOutage(registry, 'upload session without a Location');
    }
    const { pathname, search } = new URL(location, origin);
    // Set one by one: a path that begins with two slashes would be parsed as another host.
    const session = new URL(origin);
    session.pathname = pathname;
    session.search = search;
    return session;
  }

  async #finish(
    name: string,
    session: Session,
    digest: Digest,
    content: { readonly body?: Readable; readonly size: number; readonly signal: AbortSignal | undefined },
  ): Promise<Answer<undefined>> {
    const target = new URL(session);
    target.searchParams.append('digest', digest);
    const { size, ...sent } = content;
    const response = await this.client.send({
      method: 'PUT',
      target,
      access: [pushAccess(name)],
      headers: { ...OCTETS, 'content-length': String(size) },
      timeout: 0,
      ...sent,
    });
    return this.conclude(response, 'upload', [201], () => undefined);
  }

  /**
   * Sends a body of unknown size, which may have to be cancelled. Registries keep what they have of a PUT that is cut, and
   * offer no way to remove it (Distribution 2.8.2: 404 for the session, until its purge of old uploads). So it is sent by a
   * PATCH that always ends properly, and then finished or cancelled (distribution-spec #pushing-a-blob-in-chunks).
   */
  async #patch(
    name: string,
    session: Session,
    digest: Digest,
    source: Readable,
    signal: AbortSignal | undefined,
  ): Promise<Answer<undefined>> {
    const { body, error } = withoutError(source);
    const access = [pushAccess(name)];
    const request = { method: 'PATCH', target: session, access, headers: OCTETS, body, timeout: 0, signal } as const;
    const response = await this.client.send(request);
    if (response.statusCode !== 202) return this.classify(response, 'upload');
    discard(response);
    const target = this.#sessionOf(response);
    if (error() === undefined) return this.#finish(name, target, digest, { size: 0, signal });
    const timeout = CANCEL_TIMEOUT;
    discard(await this.client.send({ method: 'DELETE', target, access: [deleteAccess(name)], timeout }));
    return { kind: 'unavailable', reason: `the body of an upload broke off: ${String(error())}` };
  }
}
