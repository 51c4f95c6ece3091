// Reports an answer when it has ended: one line of the log, and one record for the page and the metrics.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Digest } from '../oci/digest.ts';
import type { DistributionPath } from '../oci/path.ts';
import type { Origin } from './deps.ts';
import { isV2, shownPath } from './headers.ts';
import { productOf } from './product.ts';
import { bodyBytes, type TimedResponse } from './response.ts';

/** Where content came from, in the words of the log and the page; see {@link Origin}. */
export type ToldOrigin = 'memory' | 'local' | 'primary' | 'stale';

const TOLD: Readonly<Record<Origin, ToldOrigin>> = {
  memory: 'memory',
  secondary: 'local',
  primary: 'primary',
  fill: 'primary',
  stale: 'stale',
};

/** One request of a client; null is what is not known, or does not apply. */
export interface ToldPull {
  readonly at: string;
  readonly method: string;
  readonly kind: 'manifest' | 'blob' | 'tags' | 'referrers' | 'catalog' | 'push';
  readonly repository: string | null;
  readonly reference: string | null;
  readonly digest: string | null;
  readonly origin: ToldOrigin | null;
  readonly status: number;
  readonly bytes: number;
  readonly ms: number;
  readonly ttfbMs: number | null;
  readonly user: string | null;
  readonly client: string | null;
  readonly address: string | null;
  readonly cause: string | null;
}

/** Takes pulls; `isShared`: the bytes came from the primary, but for another client. */
export type OnPull = (pull: ToldPull, isShared: boolean) => void;

/** What a handler notes of a request for the log, beside `answeredFrom` and `deliveredBy`. */
export interface Note {
  readonly kind: ToldPull['kind'] | 'base';
  readonly repository?: string | undefined;
  readonly reference?: string | undefined;
  /** The content's, where it was found. */
  digest?: Digest | undefined;
  /** The user that the token names. */
  user?: string | undefined;
  /** Bytes that nginx or the storage sends for us. */
  handedBytes?: number | undefined;
  isShared?: boolean | undefined;
  /** A request without a token, as every login begins: it is no failure. */
  isLogin?: boolean | undefined;
}

/** The note of a request for a path. */
export function noteOf(path: DistributionPath): Note {
  switch (path.kind) {
    case 'manifest':
      return 'tag' in path.reference
        ? { kind: 'manifest', repository: path.name, reference: path.reference.tag, digest: undefined }
        : { kind: 'manifest', repository: path.name, reference: undefined, digest: path.reference.digest };
    case 'blob':
      return { kind: 'blob', repository: path.name, reference: undefined, digest: path.digest };
    case 'referrers':
      return { kind: 'referrers', repository: path.name, reference: undefined, digest: path.digest };
    case 'tags':
      return { kind: 'tags', repository: path.name, reference: undefined, digest: undefined };
    default:
      return { kind: path.kind, repository: undefined, reference: undefined, digest: undefined };
  }
}

/** The part of a logger that is used here. */
export interface AnswerLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What reporting needs. */
export interface TellDeps {
  readonly log: AnswerLog;
  /** The client's address. */
  readonly addressOf: (request: FastifyRequest) => string | undefined;
  readonly onPull?: OnPull | undefined;
}

const LISTS = new Set<Note['kind']>(['tags', 'referrers', 'catalog']);
const LENGTH = 'content-length';

// nginx's status, in its log, for a client that left before its answer.
const CLIENT_GONE = 499;

/** Why an answer that began well did not come to its end. */
function causeOf(request: FastifyRequest, { writableFinished, headersSent }: TimedResponse): string | undefined {
  if (request.cause !== undefined || writableFinished) return request.cause;
  return headersSent ? 'the client left' : 'the client left before its answer';
}

/** Milliseconds as lines have them. */
function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** The level of an answer's line. */
function levelOf(status: number, note: Note | undefined, isPullApi: boolean): 'debug' | 'info' | 'warn' {
  if (status >= 500) return 'warn';
  if (note?.isLogin) return 'debug';
  return isPullApi || status >= 400 ? 'info' : 'debug';
}

/** Reports an answer that has ended, in whatever way; to be called once a request. */
export function createTell({
  log,
  addressOf,
  onPull,
}: TellDeps): (request: FastifyRequest, reply: FastifyReply) => void {
  // The text of the time is made once a millisecond at most.
  let now = 0;
  let at = '';
  function time(): string {
    const read = Date.now();
    if (read !== now) {
      now = read;
      at = new Date(read).toISOString();
    }
    return at;
  }

  return (request, reply) => {
    const raw = reply.raw as TimedResponse;
    const { note, answeredFrom } = request;
    const url = request.raw.url ?? '';
    const status = raw.headersSent ? raw.statusCode : CLIENT_GONE;
    const end = performance.now();
    const ms = tenths(end - raw.arrivedAt);
    const ttfbMs = raw.firstByteAt === undefined ? null : tenths(raw.firstByteAt - raw.arrivedAt);
    const length = Number(reply.getHeader(LENGTH) ?? raw.getHeader(LENGTH) ?? -1);
    const bytes = note?.handedBytes ?? bodyBytes(raw, request.raw, length);
    const cause = causeOf(request, raw);
    const origin = answeredFrom && TOLD[answeredFrom];
    const client = productOf(request.headers['user-agent']);
    const address = addressOf(request);
    log[levelOf(status, note, note !== undefined || isV2(url))](
      {
        reqId: request.id,
        method: request.method,
        path: note?.repository === undefined ? shownPath(url) : undefined,
        kind: note?.kind,
        repository: note?.repository,
        reference: note?.reference,
        digest: note?.digest,
        origin,
        by: request.deliveredBy,
        status,
        bytes,
        ms,
        ttfb: ttfbMs ?? undefined,
        user: note?.user,
        client,
        address,
        cause,
      },
      'answered',
    );
    if (!onPull || !note || note.kind === 'base' || note.isLogin || (LISTS.has(note.kind) && status < 400)) return;
    onPull(
      {
        at: time(),
        method: request.method,
        kind: note.kind,
        repository: note.repository ?? null,
        reference: note.reference ?? null,
        digest: note.digest ?? null,
        origin: origin ?? null,
        status,
        bytes,
        ms,
        ttfbMs,
        user: note.user ?? null,
        client: client ?? null,
        address: address ?? null,
        cause: cause ?? null,
      },
      note.isShared === true,
    );
  };
}
