// From a registry's failure to the client's answer: "not known" is never reported as "does not exist".
import type { Corrupt } from '../fill/filler.ts';
import { OciError } from '../oci/error.ts';
import { BUSY_HERE, failureText, wordsOf, type Failure } from '../registry/answer.ts';
import type { Breaker } from '../registry/breaker.ts';
import { saidText } from '../registry/said.ts';
import type { Note } from './tell.ts';

/** Seconds after which a client may ask again. */
const RETRY_AFTER = '5';

/** What was asked for, and of whom, so that the error can name both. */
export interface Asked {
  readonly note: Note | undefined;
  readonly primary: { readonly client: { readonly breaker: Pick<Breaker, 'downSince'> } };
  /** The primary's name for people: the host that they push to. */
  readonly pushHost: string;
}

/**
 * The text for each code of what is missing. Docker shows an error with Distribution's own message and no detail as the
 * code alone, and so not which image it is about. So the texts are our own.
 */
function missingText(code: 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN' | 'NAME_UNKNOWN', { note, pushHost }: Asked): string {
  const { repository, reference, digest } = note ?? {};
  if (repository === undefined) return `no such repository at ${pushHost}`;
  if (code === 'NAME_UNKNOWN') return `no such repository ${repository} at ${pushHost}`;
  const noun = code === 'BLOB_UNKNOWN' ? 'blob' : 'manifest';
  const what = reference === undefined ? `${noun} ${digest}` : `tag "${reference}"`;
  return `no such ${what} in ${repository} at ${pushHost}`;
}

/** Which registry did not answer, and since when. */
function unavailableText(failure: Failure, { primary, pushHost }: Asked): string {
  if (failure === BUSY_HERE) return 'not here, and this site asks the primary registry too much already: try again';
  const text = `not here, and the primary registry at ${pushHost} cannot be asked now`;
  const { downSince } = primary.client.breaker;
  if (downSince === undefined) return text;
  return `${text}: no answer since ${new Date(downSince).toISOString().slice(0, 19)}Z`;
}

/** The error that a client gets where nothing local can stand in (429 and 503 with Retry-After). */
export function failureError(failure: Failure | Corrupt, asked: Asked): OciError {
  const later = { headers: { 'retry-after': RETRY_AFTER } };
  const said = failure.kind === 'corrupt' ? undefined : wordsOf(failure);
  const words = said && saidText(said);
  const cause = words ? new Error(words) : undefined;
  switch (failure.kind) {
    case 'missing':
      return new OciError(failure.code, missingText(failure.code, asked));
    case 'refused':
      return new OciError('DENIED', 'the primary registry refuses this repository to this site', {
        cause,
      });
    case 'busy':
      return new OciError('TOOMANYREQUESTS', 'the primary registry asks to slow down', {
        headers: { 'retry-after': failure.retryAfter ?? RETRY_AFTER },
        cause,
      });
    case 'invalid':
      return new OciError(failure.code, 'the registry does not take this request', { status: 400, cause });
    case 'unsatisfiable':
      return new OciError('RANGE_INVALID', 'the range is not in the blob');
    case 'corrupt':
      return new OciError('UNKNOWN', 'the primary registry gave wrong bytes for this blob', { status: 502 });
    case 'too-large':
      return new OciError('UNKNOWN', 'the blob is larger than this site takes (GEO_BLOB_MAX)', { status: 502 });
    case 'locked-out':
      return new OciError('UNAVAILABLE', 'the primary registry does not accept this site’s key', { ...later, cause });
    case 'unsupported':
    case 'unavailable':
      return new OciError('UNAVAILABLE', unavailableText(failure, asked), {
        ...later,
        cause: new Error(failure.kind === 'unavailable' ? failureText(failure) : 'primary: does not do that'),
      });
  }
}
