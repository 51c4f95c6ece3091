// What can go wrong, in the words of the specification, with the status that each code goes out with.

const STATUS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  RANGE_INVALID: 416,
  TAG_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405,
} as const;

/** An error code of the OCI distribution-spec (#error-codes), or one that Distribution adds to them. */
export type OciErrorCode = keyof typeof STATUS;

/** The media type of every error body. */
export const ERROR_MEDIA_TYPE = 'application/json; charset=utf-8';

/** What else an {@link OciError} may carry: another status than the code's, response headers, the cause for the log. */
export interface OciErrorOptions {
  status?: number;
  headers?: Record<string, string>;
  detail?: unknown;
  cause?: unknown;
}

/** An answer other than success to a client: thrown anywhere, turned into OCI error JSON in one place. */
export class OciError extends Error {
  readonly code: OciErrorCode;
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly detail: unknown;

  constructor(code: OciErrorCode, message: string, options: OciErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OciError';
    this.code = code;
    this.status = options.status ?? STATUS[code];
    this.headers = options.headers ?? {};
    this.detail = options.detail;
  }
}

/** The body of an error answer (distribution-spec #error-codes); clients show `message` only. */
export function errorBody(code: OciErrorCode, message: string, detail?: unknown): string {
  return JSON.stringify({ errors: [detail === undefined ? { code, message } : { code, message, detail }] });
}

/** The codes in a registry's error body, or none where the body is not OCI error JSON. */
export function codesOf(body: string): string[] {
  try {
    const { errors } = JSON.parse(body) as { errors?: unknown };
    if (!Array.isArray(errors)) return [];
    return errors.map((entry: { code?: unknown } | null) => entry?.code).filter((code) => typeof code === 'string');
  } catch {
    return [];
  }
}
