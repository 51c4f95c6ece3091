// Tags, referrers and the catalog: the primary's, or the local list where the primary cannot be asked.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../lib/claim.ts';
import { BUSY_HERE, found, type Answer } from '../registry/answer.ts';
import { listPath, type ListPath, type Page } from '../registry/list.ts';
import { OciError } from '../oci/error.ts';
import { sendBytes } from './body.ts';
import type { Found, ProxyDeps, ProxyOptions } from './deps.ts';
import { failureError } from './failure.ts';
import { API_VERSION, PRIVATE, warnStale } from './headers.ts';

/** Serves one list request. */
export type ServeList = (request: FastifyRequest, reply: FastifyReply, list: ListPath) => Promise<FastifyReply>;

// The parameters that a list has (distribution-spec #listing-tags, #listing-referrers); others end here.
// Quay pages by a `next_page` of its own.
const PARAMETERS = ['n', 'last', 'artifactType', 'next_page'] as const;
const PARAMETER_MAX = 1_024;

function queryOf(url: string): URLSearchParams {
  const start = url.indexOf('?');
  const asked = new URLSearchParams(start < 0 ? '' : url.slice(start + 1));
  const passed = new URLSearchParams();
  for (const name of PARAMETERS) {
    const value = asked.get(name);
    if (value === null) continue;
    if (name === 'n' && !/^\d{1,9}$/.test(value)) {
      throw new OciError('PAGINATION_NUMBER_INVALID', 'n must be a whole number');
    }
    if (value.length > PARAMETER_MAX) throw new OciError('UNSUPPORTED', `${name} is too long`, { status: 400 });
    passed.set(name, value);
  }
  return passed;
}

/** Every registry has tags; referrers and a catalog it may lack, and clients have ways of their own without them. */
function noSuchList(): OciError {
  return new OciError('UNSUPPORTED', 'the primary registry has no such list', { status: 404 });
}

/** @see ServeList */
export function createServeList(deps: ProxyDeps, options: ProxyOptions): ServeList {
  const { primary, secondary, places, meter } = deps;
  const { readerTimeout = 60_000 } = options;

  async function page(list: ListPath, query: URLSearchParams, caller: Caller): Promise<Answer<Found<Page>>> {
    const ask = (signal: AbortSignal): Promise<Answer<Page>> =>
      primary.lists.page(list, query, options.primaryTimeout, signal);
    const answer = await places.lists.runFor(caller, ask, BUSY_HERE);
    if (answer.kind === 'found') return found({ value: answer.value, origin: 'primary' as const });
    if (answer.kind === 'missing' || answer.kind === 'invalid') return answer;
    // Without referrers clients go on to the tags that stand in for them, but only after a 404.
    if (answer.kind === 'unsupported' && list.kind === 'referrers') return answer;
    // A primary without a catalog: the local one says at least what is here.
    const askLocal = (signal: AbortSignal): Promise<Answer<Page>> =>
      secondary.lists.page(list, query, options.secondaryTimeout ?? 2_000, signal);
    const local = await places.local.runFor(caller, askLocal, BUSY_HERE);
    if (local.kind !== 'found') return answer;
    meter('stale_answers_total', { reason: answer.kind });
    return found({ value: local.value, origin: 'stale' as const, stale: answer.kind });
  }

  return async (request, reply, list) => {
    const answer = await page(list, queryOf(request.raw.url ?? ''), request.caller);
    meter('pulls_total', { kind: list.kind, origin: answer.kind === 'found' ? answer.value.origin : answer.kind });
    if (answer.kind === 'unsupported' && list.kind !== 'tags') throw noSuchList();
    if (answer.kind !== 'found') throw failureError(answer);
    const { value, origin, stale } = answer.value;
    request.answeredFrom = origin;
    if (stale !== undefined) warnStale(reply, stale);
    reply.code(200).headers({ ...API_VERSION, ...PRIVATE, 'content-type': value.mediaType });
    // Relative, so that the next page is asked of us and not of the registry behind us.
    if (value.next !== undefined) reply.header('link', `<${listPath(list)}?${value.next}>; rel="next"`);
    if (value.filtersApplied !== undefined) reply.header('oci-filters-applied', value.filtersApplied);
    return sendBytes(reply, value.bytes, { timeout: readerTimeout, meter });
  };
}
