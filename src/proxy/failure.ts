// From a registry's failure to the client's answer: "not known" is never reported as "does not exist".
import type { Corrupt } from '../fill/filler.ts';
import { OciError } from '../oci/error.ts';
import { failureText, wordsOf, type Failure } from '../registry/answer.ts';
import { saidText } from '../registry/said.ts';

/** Seconds after which a client may ask again. */
const RETRY_AFTER = '5';

/**
 * How each code of a missing thing reads. Not in Distribution's own words: a code with those and no detail is to Docker
 * a code alone, and it then leaves out which image it is about.
 */
const MISSING = {
  MANIFEST_UNKNOWN: 'no such manifest in this repository',
  BLOB_UNKNOWN: 'no such blob in this repository',
  NAME_UNKNOWN: 'no such repository',
} as const;

/** The error that a client gets where nothing local can stand in (429 and 503 with Retry-After). */
export function failureError(failure: Failure | Corrupt): OciError {
  const later = { headers: { 'retry-after': RETRY_AFTER } };
  const said = failure.kind === 'corrupt' ? undefined : wordsOf(failure);
  const words = said && saidText(said);
  const cause = words ? new Error(words) : undefined;
  switch (failure.kind) {
    case 'missing':
      return new OciError(failure.code, MISSING[failure.code]);
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
      return new OciError('UNAVAILABLE', 'not here, and the primary registry cannot be asked now', {
        ...later,
        cause: new Error(failure.kind === 'unavailable' ? failureText(failure) : 'primary: does not do that'),
      });
  }
}
