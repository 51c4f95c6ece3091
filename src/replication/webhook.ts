// The webhook: the primary's notifications become marks, and are answered once those are on disk. The sender repeats a
// notification until it is answered with success, and holds back all later ones. So only what a later attempt can
// change is refused: a wrong token, a database that cannot be used.
import { createHash, timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Meter } from '../lib/meter.ts';
import { createRate, type Rate } from '../lib/rate.ts';
import { inSteps } from '../lib/steps.ts';
import { EventWriter, type EventWriterParts } from './event-writer.ts';
import { readEvents, type ParsedEvents } from './events.ts';
import { Turns } from './turns.ts';
import { Body, Holding, LARGE_BODY } from './webhook-body.ts';

/** What the webhook needs. */
export interface WebhookDeps extends EventWriterParts {
  /** The values that `Authorization` may have; two while one replaces the other. */
  readonly tokens: readonly string[];
  readonly meter: Meter;
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
// Bytes a second of all large bodies together: parsing more would delay pulls.
const LARGE_RATE = 8 * 1024 * 1024;
const RETRY_AFTER = '5';

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Compares a header with the tokens, in a time that does not depend on them. */
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

/** Receives notifications. */
class Webhook {
  readonly #deps: WebhookDeps;
  readonly #bodyMax: number;
  readonly #heldMax: number;
  readonly #isToken: (header: string | undefined) => boolean;
  readonly #writer: EventWriter;
  readonly #holding: Holding;
  readonly #turns = new Turns();
  readonly #rate: Rate;

  constructor(deps: WebhookDeps, { bodyMax = BODY_MAX, heldMax = HELD_MAX }: WebhookOptions) {
    this.#deps = deps;
    this.#bodyMax = bodyMax;
    this.#heldMax = heldMax;
    this.#isToken = createIsToken(deps.tokens);
    this.#writer = new EventWriter(deps);
    this.#holding = new Holding(heldMax);
    this.#rate = createRate(LARGE_RATE, { clock: () => performance.now(), sleep: (time) => sleep(time) });
  }

  /** Before the body is read; answers 401 for another token. */
  async admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    if (!this.#isToken(request.headers.authorization)) {
      this.#deps.meter('event_requests_total', { result: 'refused' });
      return reply.code(401).header('connection', 'close').send({ error: 'wrong or missing Authorization' });
    }
    if (request.headers.expect?.toLowerCase() === '100-continue') reply.raw.writeContinue();
    // Fastify answers 415 to types that it cannot read; any type is taken here.
    delete request.headers['content-type'];
    return undefined;
  }

  async serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const body = new Body(this.#bodyMax, this.#holding);
    try {
      return await this.#store(body, request, reply);
    } finally {
      body.free();
    }
  }

  async #store(body: Body, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { meter } = this.#deps;
    try {
      await body.read(request.raw, this.#rate);
    } catch {
      // The sender has gone, and needs no answer.
      meter('event_requests_total', { result: 'broken-off' });
      return reply.hijack();
    }
    if (body.isRefused) {
      request.log.error({ max: this.#heldMax }, 'events are not taken: more bytes of them than this are under way');
      return this.#sendAgain(reply);
    }
    const events = await this.#eventsOf(body, request.headers);
    try {
      await this.#writer.write(events, request.log);
    } catch (error) {
      request.log.error({ err: error }, 'events cannot be stored');
      return this.#sendAgain(reply);
    }
    meter('event_requests_total', { result: 'stored' });
    for (const [result, count] of Object.entries(events.counts)) {
      if (count > 0) meter('events_total', { result }, count);
    }
    const { malformed } = events.counts;
    if (malformed > 0) request.log.warn({ malformed, reason: events.malformed[0]?.reason }, 'malformed events');
    return reply.send({});
  }

  #eventsOf(body: Body, headers: FastifyRequest['headers']): Promise<ParsedEvents> | ParsedEvents {
    const { bytes } = body;
    if (body.isTooLarge) return tooLarge(bytes, this.#bodyMax);
    // The header of a CloudEvent in binary mode, as zot sends them.
    const type = [headers['ce-type']].flat()[0];
    const read = (): Promise<ParsedEvents> => inSteps(readEvents(bytes, this.#deps.isReplicated, type));
    return bytes.length > LARGE_BODY ? this.#turns.take('large', read) : read();
  }

  #sendAgain(reply: FastifyReply): FastifyReply {
    this.#deps.meter('event_requests_total', { result: 'unstored' });
    return reply.code(503).header('retry-after', RETRY_AFTER).send({ error: 'events cannot be stored now' });
  }
}

/** Adds the webhook. Whatever the body is, it is answered 200 `{}`; 401 for another token, 503 to send it again. */
export function addWebhookRoute(app: FastifyInstance, deps: WebhookDeps, options: WebhookOptions = {}): void {
  const webhook = new Webhook(deps, options);
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.post(WEBHOOK_PATH, { onRequest: (request, reply) => webhook.admit(request, reply) }, (request, reply) =>
      webhook.serve(request, reply),
    );
  });
}
