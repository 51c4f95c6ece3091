// Requests a blob from the local registry, by reply-from on our own agent. No header of the client goes there, and none
// of the registry's comes back.
import type { FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { pullAccess } from '../auth/scope.ts';
import { RegistryOutage } from '../registry/answer.ts';
import type { Client } from '../registry/client.ts';
import type { Patience } from '../registry/patience.ts';
import { requestOnce } from '../registry/request.ts';
import type { Place } from './place.ts';
import { clientGone } from './error-reply.ts';

/** The local registry's answer; its body is read or destroyed by the caller. */
export interface LocalAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly stream: Readable;
}

/** Asks the local registry for a blob. @throws RegistryOutage when it cannot be asked. */
export type AskLocal = (reply: FastifyReply, place: Place, range: string | undefined) => Promise<LocalAnswer>;

/** What reply-from makes requests with. */
export interface LocalAgent {
  request(options: Dispatcher.RequestOptions, callback: (error: unknown, response?: object) => void): void;
}

/** The time limit of a request, and whether its client has left. */
interface Limit {
  readonly patience: Patience;
  readonly isGone: () => boolean;
}

// reply-from takes neither a time limit nor a signal: both are passed among the headers, under a symbol.
const LIMIT = Symbol('limit');
type LocalHeaders = Record<string, string> & { readonly [LIMIT]: Limit };

const OUTAGE_STATUS = new Set([502, 503, 504]);

/**
 * Our agent for the local registry in the form that reply-from calls; for a request that was given up the callback is
 * not called.
 */
export function createLocalAgent(dispatcher: Dispatcher): LocalAgent {
  return {
    request(options, callback) {
      const { [LIMIT]: limit, ...headers } = options.headers as LocalHeaders;
      const { patience, isGone } = limit;
      const { signal, onSent } = patience;
      requestOnce(dispatcher, { ...options, headers, signal, onSent }).then(
        (response) => {
          if (!signal.aborted && !isGone()) return callback(null, response);
          // The client has left: reply-from would destroy the body without an error listener, and that would end the
          // process.
          response.body.on('error', () => undefined).destroy();
          patience.end(clientGone());
        },
        (error: unknown) => {
          if (!signal.aborted) callback(error);
        },
      );
    },
  };
}

/** An {@link AskLocal}; `timeout` in milliseconds to the headers. */
export function createAskLocal(client: Client, via: string, timeout: number): AskLocal {
  async function forward(reply: FastifyReply, { name, digest }: Place, range?: string): Promise<LocalAnswer> {
    if (reply.raw.destroyed) throw clientGone();
    const patience = client.patience(timeout);
    const leave = (): void => patience.leave(clientGone());
    const work = async (): Promise<LocalAnswer> => {
      const authorization = await client.authorization([pullAccess(name)]);
      patience.signal.throwIfAborted();
      return answerOf(reply, `/v2/${name}/blobs/${digest}`, {
        'user-agent': 'geo-registry-proxy',
        via,
        'accept-encoding': 'identity',
        ...(authorization === undefined ? {} : { authorization }),
        ...(range === undefined ? {} : { range }),
        [LIMIT]: { patience, isGone: () => reply.raw.destroyed },
      });
    };
    reply.raw.once('close', leave);
    try {
      return await patience.race(work());
    } finally {
      patience.stop();
      reply.raw.off('close', leave);
    }
  }

  function answerOf(reply: FastifyReply, path: string, headers: LocalHeaders): Promise<LocalAnswer> {
    return new Promise((resolve, reject) => {
      reply.from(path, {
        queryString: () => '',
        rewriteRequestHeaders: () => headers,
        rewriteHeaders: () => ({}),
        // reply-from asks again up to ten times on 503 unless told not to.
        retryDelay: () => null,
        onResponse: (_request, _reply, response) => {
          const { statusCode, headers: received, stream } = response as unknown as LocalAnswer;
          stream.on('error', () => undefined);
          resolve({ statusCode, headers: received, stream });
        },
        onError: (_reply, { error }) => {
          const { code, message } = (error.cause ?? error) as NodeJS.ErrnoException;
          reject(new RegistryOutage(client.registry, code ?? message, error));
        },
      });
    });
  }

  function ask(reply: FastifyReply, place: Place, range?: string): Promise<LocalAnswer> {
    return client.breaker.run(async () => {
      const answer = await forward(reply, place, range);
      if (!OUTAGE_STATUS.has(answer.statusCode)) return answer;
      answer.stream.destroy();
      throw new RegistryOutage(client.registry, `answered ${answer.statusCode}`);
    });
  }

  return async (reply, place, range) => {
    const answer = await ask(reply, place, range);
    if (answer.statusCode !== 401) return answer;
    answer.stream.destroy();
    const renewed = await client.renew([pullAccess(place.name)], answer.headers['www-authenticate'], timeout);
    return renewed ? ask(reply, place, range) : answer;
  };
}
