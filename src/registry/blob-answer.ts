// What the answer to a request for a blob is: content, nothing, or a refusal of the range.
import { parseContentRange, type ByteRange } from '../oci/range.ts';
import type { BlobBody } from './blob.ts';
import { contentLength, headerText, type RegistryResponse } from './response.ts';

/** The body of a 200 or 206; undefined for a 206 without a readable Content-Range. */
export function bodyOf(response: RegistryResponse): BlobBody | undefined {
  const { body, statusCode } = response;
  // Without a listener the error event of a body that is destroyed before it is read would end the process.
  body.on('error', () => undefined);
  if (statusCode === 200) {
    const size = contentLength(response);
    return { body, start: 0, ...(size === undefined ? {} : { size, end: size - 1 }) };
  }
  const part = parseContentRange(String(response.headers['content-range'] ?? ''));
  return part && { body, ...part };
}

function beginsAtStart(range: ByteRange): boolean {
  return 'start' in range && range.start === 0;
}

/** Whether a range from the first byte was refused because the blob is empty. */
export function isEmpty(response: RegistryResponse, range: ByteRange | undefined): boolean {
  const isUnsatisfied = response.statusCode === 416 && headerText(response, 'content-range') === 'bytes */0';
  return isUnsatisfied && range !== undefined && beginsAtStart(range);
}

/** Whether an answer is about the range, and not about the blob: a request without a range may succeed. */
export function refusesRange(response: RegistryResponse, range: ByteRange): boolean {
  const { statusCode, headers } = response;
  const part = headers['content-range'];
  if (statusCode === 200) return part !== undefined;
  if (statusCode === 206) return !parseContentRange(String(part ?? ''));
  // Elsewhere than at the first byte the range may be outside the blob.
  if (statusCode === 416) return beginsAtStart(range) && part !== 'bytes */0';
  // These, and outages, are not about the range.
  return ![401, 404, 429, 500].includes(statusCode) && statusCode < 502;
}
