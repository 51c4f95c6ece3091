// A registry's own error codes, messages and details: bounded, and without secrets.

/** An entry of an error body (distribution-spec #error-codes): strings of at most 64, 256 and 512 characters, or empty. */
interface SaidError {
  readonly code: string;
  readonly message: string;
  /** JSON where it is not a string. */
  readonly detail: string;
}

/** A registry's refusal: at most four `errors`; none where the body is not OCI error JSON. */
export interface Said {
  readonly status: number;
  readonly errors: readonly SaidError[];
}

const ERRORS_MAX = 4;
const [CODE_MAX, MESSAGE_MAX, DETAIL_MAX] = [64, 256, 512];

/** One line without invisible characters, credentials, and URLs' queries and user names. */
function cleaned(text: string, max: number): string {
  return text
    .slice(0, 8 * max)
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replace(/(\/\/)[^\s/?#@"']*@/g, '$1')
    .replace(/\?[\w.%~-]+=[^\s"'<>)]*/g, '?…')
    .replace(/\b(Bearer|Basic)\s+[^\s"',]+/gi, '$1 …')
    .replace(/\beyJ[\w-]{8,}(?:\.[\w-]*)*/g, '…')
    .trim()
    .slice(0, max)
    .toWellFormed();
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const isEmpty = typeof value === 'object' && Object.keys(value ?? {}).length === 0;
  return value === undefined || isEmpty ? '' : JSON.stringify(value);
}

function errorOf(entry: unknown): SaidError | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { code, message, detail } = entry as Record<string, unknown>;
  if (typeof code !== 'string') return undefined;
  return {
    code: cleaned(code, CODE_MAX),
    message: cleaned(typeof message === 'string' ? message : '', MESSAGE_MAX),
    detail: cleaned(textOf(detail), DETAIL_MAX),
  };
}

/** Parses the body of an answer other than success. */
export function saidOf(status: number, body: string): Said {
  try {
    const { errors } = JSON.parse(body) as { errors?: unknown };
    if (!Array.isArray(errors)) return { status, errors: [] };
    const known = errors.slice(0, ERRORS_MAX).map(errorOf);
    return { status, errors: known.filter((error) => error !== undefined) };
  } catch {
    return { status, errors: [] };
  }
}

/** The errors as text for people, without the status: `MANIFEST_INVALID, manifest invalid, unknown media type: …`; may be empty. */
export function saidText({ errors }: Said): string {
  const texts = errors.map(({ code, message, detail }) => [code, message, detail].filter(Boolean).join(', '));
  return [...new Set(texts)].join('; ');
}
