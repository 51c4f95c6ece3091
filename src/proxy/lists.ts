// Tags, referrers and the catalog: the primary's, or the local list where the primary cannot be asked.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../lib/claim.ts';
import { BUSY_HERE, failureText, found, type Answer } from '../registry/answer.ts';
import { listPath, type ListPath, type Page } from '../registry/list.ts';
import { OciError } from '../oci/error.ts';
import { sendBytes } from './body.ts';
import type { Found, ProxyDeps, ProxyOptions } from './deps.ts';
import { failureError } from './failure.ts';
import { API_VERSION, PRIVATE, warnStale } from './headers.ts';
import { clientQuery, isPlainQuery, parseListQuery, type ListQuery } from './list-query.ts';

/** Serves one list request. */
export type ServeList = (request: FastifyRequest, reply: FastifyReply, list: ListPath) => Promise<FastifyReply>;

/** A registry may have no referrers or no catalog, and clients have other ways then. Every registry has tags. */
function noSuchList(): OciError {
  return new OciError('UNSUPPORTED', 'the primary registry has no such list', { status: 404 });
}

/** @see ServeList */
export function createServeList(deps: ProxyDeps, options: ProxyOptions): ServeList {
  const { primary, secondary, places, meter } = deps;
  const { readerTimeout } = options;

  async function page(list: ListPath, { query, isPlain }: ListQuery, caller: Caller): Promise<Answer<Found<Page>>> {
    const ask = (signal: AbortSignal): Promise<Answer<Page>> =>
      primary.lists.page(list, query, options.primaryTimeout, signal);
    const answer = await places.lists.runFor(caller, ask, BUSY_HERE);
    if (answer.kind === 'found') return found({ value: answer.value, origin: 'primary' as const });
    if (answer.kind === 'missing' || answer.kind === 'invalid') return answer;
    // Without a list of referrers clients look for tags of the subject's name, but only after a 404.
    if (answer.kind === 'unsupported' && list.kind === 'referrers') return answer;
    // A cursor of the primary's own would lead the local registry to its first page again.
    if (!isPlain) return answer;
    // Where the primary has no catalog, the local one shows at least what is here.
    const askLocal = (signal: AbortSignal): Promise<Answer<Page>> =>
      secondary.lists.page(list, query, options.secondaryTimeout ?? 2_000, signal);
    const local = await places.local.runFor(caller, askLocal, BUSY_HERE);
    if (local.kind !== 'found') return answer;
    // Nor would the primary understand the local registry's cursor, once it can be asked again.
    if (local.value.next !== undefined && !isPlainQuery(local.value.next)) return answer;
    meter('stale_answers_total', { reason: answer.kind });
    return found({
      value: local.value,
      origin: 'stale' as const,
      stale: answer.kind,
      cause: failureText(answer, 'primary'),
    });
  }

  return async (request, reply, list) => {
    const answer = await page(list, parseListQuery(request.raw.url ?? ''), request.caller);
    meter('pulls_total', { kind: list.kind, origin: answer.kind === 'found' ? answer.value.origin : answer.kind });
    if (answer.kind === 'unsupported' && list.kind !== 'tags') throw noSuchList();
    if (answer.kind !== 'found') {
      throw failureError(answer, { note: request.note, primary, pushHost: options.pushHost });
    }
    const { value, origin, stale, cause } = answer.value;
    request.answeredFrom = origin;
    if (stale !== undefined) {
      request.cause = cause ?? stale;
      warnStale(reply, stale);
    }
    reply.code(200).headers({ ...API_VERSION, ...PRIVATE, 'content-type': value.mediaType });
    // Relative, so that the next page is asked of us and not of the registry behind us.
    if (value.next !== undefined) reply.header('link', `<${listPath(list)}?${clientQuery(value.next)}>; rel="next"`);
    if (value.filtersApplied !== undefined) reply.header('oci-filters-applied', value.filtersApplied);
    return sendBytes(reply, value.bytes, { timeout: readerTimeout, meter });
  };
}
