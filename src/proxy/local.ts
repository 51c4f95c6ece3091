// The hit: a blob of the local registry, by reply-from on our own agent. Only what we put in goes there and comes back.
import type { FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { pullAccess } from '../auth/scope.ts';
import { RegistryOutage } from '../registry/answer.ts';
import type { Client } from '../registry/client.ts';
import type { Place } from './deps.ts';

/** The local registry's answer; its body is read or destroyed by whoever gets it. */
export interface LocalAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly stream: Readable;
}

/** Asks the local registry for a blob. @throws RegistryOutage when it cannot be asked. */
export type AskLocal = (reply: FastifyReply, place: Place, range: string | undefined) => Promise<LocalAnswer>;

/** The client closed its connection before the local registry answered: nobody's fault, and nobody to tell. */
export class ClientGone extends Error {}

const OUTAGE_STATUS = new Set([502, 503, 504]);

/** An {@link AskLocal}; `timeout` in milliseconds to the headers. */
export function createAskLocal(client: Client, via: string, timeout: number): AskLocal {
  const outage = (reason: string, cause?: unknown): RegistryOutage =>
    new RegistryOutage(client.registry, reason, cause);

  function forward(reply: FastifyReply, path: string, headers: Record<string, string>): Promise<LocalAnswer> {
    return new Promise((resolve, reject) => {
      let late = false;
      const giveUp = (reason: Error): void => {
        late = true;
        clearTimeout(timer);
        reject(reason);
      };
      const timer = setTimeout(() => giveUp(outage(`no answer in ${timeout} ms`)), timeout);
      const gone = (): void => giveUp(new ClientGone());
      reply.raw.once('close', gone);
      const settle = (): void => {
        clearTimeout(timer);
        reply.raw.off('close', gone);
      };
      reply.from(path, {
        queryString: () => '',
        rewriteRequestHeaders: () => headers,
        rewriteHeaders: () => ({}),
        // reply-from asks again up to ten times on 503 unless told.
        retryDelay: () => null,
        onResponse: (_request, _reply, response) => {
          settle();
          const { statusCode, headers: received, stream } = response as unknown as LocalAnswer;
          stream.on('error', () => undefined);
          if (late) stream.destroy();
          else resolve({ statusCode, headers: received, stream });
        },
        onError: (_reply, { error }) => {
          settle();
          const { code, message } = (error.cause ?? error) as NodeJS.ErrnoException;
          reject(outage(code ?? message, error));
        },
      });
    });
  }

  async function ask(reply: FastifyReply, { name, digest }: Place, range: string | undefined): Promise<LocalAnswer> {
    const authorization = await client.authorizer.header([pullAccess(name)]);
    return client.breaker.run(async () => {
      const answer = await forward(reply, `/v2/${name}/blobs/${digest}`, {
        'user-agent': 'geo-registry-proxy',
        via,
        'accept-encoding': 'identity',
        ...(authorization === undefined ? {} : { authorization }),
        ...(range === undefined ? {} : { range }),
      });
      if (!OUTAGE_STATUS.has(answer.statusCode)) return answer;
      answer.stream.destroy();
      throw outage(`answered ${answer.statusCode}`);
    });
  }

  return async (reply, place, range) => {
    const answer = await ask(reply, place, range);
    if (answer.statusCode !== 401) return answer;
    answer.stream.destroy();
    const challenge = [answer.headers['www-authenticate'] ?? []].flat().join(', ');
    const renewed = await client.authorizer.renew([pullAccess(place.name)], challenge);
    return renewed ? ask(reply, place, range) : answer;
  };
}
