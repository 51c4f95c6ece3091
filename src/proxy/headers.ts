// Response headers. All are made here: none of a registry's passes.
import type { FastifyReply } from 'fastify';
import type { Digest } from '../oci/digest.ts';

/** Names the registry API: Distribution's header, which old clients ask for. */
export const API_VERSION = { 'docker-distribution-api-version': 'registry/2.0' } as const;

/** Whether a URL belongs to the pull API. */
export function isV2(url: string): boolean {
  return /^\/v2(?:[/?]|$)/.test(url);
}

// Characters of a path in a line of the log.
const PATH_SHOWN = 512;

/** The path of a URL for the log: without the query, in which somebody may have put a secret. */
export function shownPath(url: string): string {
  const query = url.indexOf('?');
  return url.slice(0, query < 0 ? PATH_SHOWN : Math.min(query, PATH_SHOWN));
}

/** No shared cache in front of us may keep what was given to one token. */
export const PRIVATE = { 'cache-control': 'private' } as const;

/** Headers of a content answer, all ours: nothing that a registry says about caching, cookies or files passes. */
export function contentHeaders(digest: Digest, mediaType: string): Record<string, string> {
  return {
    ...API_VERSION,
    ...PRIVATE,
    'content-type': mediaType,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  };
}

// Characters: clients name one entity tag. The whole content is a right answer to a longer header, too.
const CONDITION_MAX = 4 * 1024;

/** Whether `If-None-Match` names this content (RFC 9110 section 13.1.2; Distribution takes the digest unquoted, too). */
export function noneMatch(header: string | undefined, digest: Digest): boolean {
  if (header === undefined || header.length > CONDITION_MAX) return false;
  return header.split(',').some((entry) => {
    const tag = entry.trim().replace(/^W\//, '');
    return tag === '*' || tag === `"${digest}"` || tag === digest;
  });
}

/** Answers 304 (RFC 9110 section 15.4.5). */
export function sendNotModified(reply: FastifyReply, digest: Digest): FastifyReply {
  return reply
    .code(304)
    .headers({ ...API_VERSION, ...PRIVATE, 'docker-content-digest': digest, etag: `"${digest}"` })
    .send();
}

/** Says that an answer is the local copy, because the primary could not be asked (distribution-spec #warnings). */
export function warnStale(reply: FastifyReply, why: string): void {
  reply.header('warning', `299 - "the primary registry could not be asked (${why}); this is the local copy"`);
}
