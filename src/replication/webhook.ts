// The webhook: the primary's notifications become marks, and are answered once those are on disk. Whoever sends them
// tries for ever what is not answered with success, and holds back all that came after: only what a later attempt can
// mend (a wrong token, a database that cannot be used) is refused.
import { createHash, timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../lib/log.ts';
import type { Meter } from '../lib/meter.ts';
import { createRate } from '../lib/rate.ts';
import { inSteps } from '../lib/steps.ts';
import { marksBelow, readEvents, type EventMark, type ParsedEvents } from './events.ts';
import { PRIORITY, StoreUnavailable, type RowStore } from './rows.ts';
import { createTurns } from './turns.ts';
import { Body, createHolding, LARGE_BODY } from './webhook-body.ts';

/** The part of the rows that the webhook writes to. */
export type EventRows = Pick<RowStore, 'mark' | 'keepMalformed' | 'repositories'>;

/** What the webhook needs; `clock` in milliseconds since the epoch. */
export interface WebhookDeps {
  readonly rows: EventRows;
  /** The values that `Authorization` may have; two while one is replaced by the other. */
  readonly tokens: readonly string[];
  readonly isReplicated: (repository: string) => boolean;
  /** Told first of all that events name, replicated or not: it may not be believed any longer. */
  readonly onNamed?: (events: Pick<ParsedEvents, 'named' | 'renames'>) => void;
  /** Wakes the workers. */
  readonly onMarked: () => void;
  readonly meter: Meter;
  readonly clock?: () => number;
}

/** Knobs in bytes: of one body, and of all bodies that are held at once. */
export interface WebhookOptions {
  readonly bodyMax?: number;
  readonly heldMax?: number;
}

/** Where the primary's notifications go: the path that GitLab's own take. */
export const WEBHOOK_PATH = '/api/v4/container_registry_event/events';

const BODY_MAX = 8 * 1024 * 1024;
const HELD_MAX = 64 * 1024 * 1024;
// Bytes a second of all large bodies together: reading more of them would take the time of pulls.
const LARGE_RATE = 8 * 1024 * 1024;
// Other calls may come between two pages.
const PAGE = 500;
const RETRY_AFTER = '5';

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Tells whether a header is one of the tokens, in a time that tells nothing about them. */
function createIsToken(tokens: readonly string[]): (header: string | undefined) => boolean {
  const expected = tokens.map((token) => sha256(Buffer.from(token)));
  return (header) => {
    if (header === undefined || header === '') return false;
    // Node reads the bytes of a header as Latin-1.
    const given = sha256(Buffer.from(header, 'latin1'));
    return expected.filter((token) => timingSafeEqual(token, given)).length > 0;
  };
}

function tooLarge(head: Buffer, max: number): ParsedEvents {
  return {
    marks: [],
    named: [],
    renames: [],
    malformed: [{ reason: `the body is larger than ${max} bytes`, body: head.toString() }],
    counts: { marked: 0, ignored: 0, 'not-replicated': 0, malformed: 1 },
  };
}

/** Writes down what events say; resolves when all of it is on disk. */
type Commit = (events: ParsedEvents, log: Log) => Promise<void>;

function createCommit({ rows, isReplicated, onNamed, onMarked, clock = Date.now }: WebhookDeps): Commit {
  async function mark(marks: readonly EventMark[], at: number): Promise<void> {
    for (let start = 0; start < marks.length; start += PAGE) {
      const page = marks.slice(start, start + PAGE);
      await rows.mark(
        page.map((one) => ({ ...one, priority: PRIORITY.event, eventAt: at })),
        at,
      );
    }
  }

  /** One rename after the other: their marks together may be very many. */
  async function markBelow({ renames }: ParsedEvents, at: number): Promise<void> {
    if (renames.length === 0) return;
    const known = await rows.repositories();
    for (const rename of renames) {
      const since = performance.now();
      await mark(
        marksBelow(rename, known).filter(({ repository }) => isReplicated(repository)),
        at,
      );
      // As long again: pulls have at least half of the time.
      await sleep(performance.now() - since);
    }
  }

  async function keep(events: ParsedEvents, at: number, log: Log): Promise<void> {
    const kept = await Promise.allSettled(events.malformed.map((event) => rows.keepMalformed({ ...event, at })));
    for (const result of kept) {
      if (result.status === 'fulfilled') continue;
      if (result.reason instanceof StoreUnavailable) throw result.reason;
      // Another attempt would fail as well.
      log.error({ err: result.reason as unknown }, 'cannot keep a malformed event');
    }
  }

  return async (events, log) => {
    const at = clock();
    onNamed?.(events);
    const { marks } = events;
    await mark(marks, at);
    await markBelow(events, at);
    if (marks.length > 0) onMarked();
    await keep(events, at, log);
  };
}

/** Adds the webhook. Whatever the body is, it is answered 200 `{}`; 401 for another token, 503 to send it again. */
export function addWebhookRoute(
  app: FastifyInstance,
  deps: WebhookDeps,
  { bodyMax = BODY_MAX, heldMax = HELD_MAX }: WebhookOptions = {},
): void {
  const { meter } = deps;
  const isToken = createIsToken(deps.tokens);
  const commit = createCommit(deps);
  const holding = createHolding(heldMax);
  const inTurn = createTurns();
  const rate = createRate(LARGE_RATE, { clock: () => performance.now(), sleep: (time) => sleep(time) });

  function eventsOf(body: Body, headers: FastifyRequest['headers']): Promise<ParsedEvents> | ParsedEvents {
    const { bytes } = body;
    if (body.isTooLarge) return tooLarge(bytes, bodyMax);
    // The header of a CloudEvent in binary mode, as zot sends them.
    const type = [headers['ce-type']].flat()[0];
    const read = (): Promise<ParsedEvents> => inSteps(readEvents(bytes, deps.isReplicated, type));
    return bytes.length > LARGE_BODY ? inTurn('large', read) : read();
  }

  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    if (!isToken(request.headers.authorization)) {
      meter('event_requests_total', { result: 'refused' });
      return reply.code(401).header('connection', 'close').send({ error: 'wrong or missing Authorization' });
    }
    if (request.headers.expect?.toLowerCase() === '100-continue') reply.raw.writeContinue();
    // Fastify answers 415 to one that it cannot read. Here none matters.
    delete request.headers['content-type'];
    return undefined;
  }

  async function serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const body = new Body(bodyMax, holding);
    try {
      return await store(body, request, reply);
    } finally {
      body.free();
    }
  }

  function sendAgain(reply: FastifyReply): FastifyReply {
    meter('event_requests_total', { result: 'unstored' });
    return reply.code(503).header('retry-after', RETRY_AFTER).send({ error: 'events cannot be stored now' });
  }

  async function store(body: Body, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    try {
      await body.read(request.raw, rate);
    } catch {
      // The sender has gone: nobody is there for an answer.
      meter('event_requests_total', { result: 'broken-off' });
      return reply.hijack();
    }
    if (body.isRefused) {
      request.log.error({ max: heldMax }, 'events are not taken: more bytes of them than this are under way');
      return sendAgain(reply);
    }
    const events = await eventsOf(body, request.headers);
    try {
      await commit(events, request.log);
    } catch (error) {
      request.log.error({ err: error }, 'events cannot be stored');
      return sendAgain(reply);
    }
    meter('event_requests_total', { result: 'stored' });
    for (const [result, count] of Object.entries(events.counts)) {
      if (count > 0) meter('events_total', { result }, count);
    }
    const { malformed } = events.counts;
    if (malformed > 0) request.log.warn({ malformed, reason: events.malformed[0]?.reason }, 'malformed events');
    return reply.send({});
  }

  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.post(WEBHOOK_PATH, { onRequest: admit }, serve);
  });
}
