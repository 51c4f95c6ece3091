// A webhook on an instance of its own, as the program has it, over rows in memory that a test can hold up or break.
import Fastify from 'fastify';
import { onTestFinished } from 'vitest';
import type { MalformedEvent } from '../../src/replication/records.ts';
import type { Mark } from '../../src/replication/row-queue.ts';
import type { EventRows } from '../../src/replication/event-writer.ts';
import { addWebhookRoute, WEBHOOK_PATH } from '../../src/replication/webhook.ts';

export const now = 1_700_000_000_000;
export const token = 'notification secret';

/** The part of the rows that the webhook needs. */
export class Rows implements EventRows {
  /** The marks of each call that was let through. */
  readonly calls: (readonly Mark[])[] = [];
  readonly kept: MalformedEvent[] = [];
  /** Names that are known. */
  known: readonly string[] = [];
  /** Called before a mark is done, which it may hold up or fail. */
  beforeMark: () => void | Promise<void> = () => undefined;
  beforeKeep: () => void = () => undefined;

  get marks(): string[] {
    return this.calls.flat().map(({ repository, reference }) => `${repository} ${reference}`);
  }

  /** Marks that are held up. */
  waiting = 0;

  async mark(marks: readonly Mark[]): Promise<void> {
    this.waiting += 1;
    await this.beforeMark();
    this.waiting -= 1;
    this.calls.push(marks);
  }

  async keepMalformed(event: MalformedEvent): Promise<void> {
    this.beforeKeep();
    this.kept.push(event);
  }

  async repositories(): Promise<readonly string[]> {
    return this.known;
  }
}

export interface WebhookRig<R> {
  readonly rows: R;
  /** Host and port, and the whole address. */
  readonly origin: string;
  readonly url: string;
  /** How often the workers were woken. */
  readonly woken: number;
  /** What was counted, as `events_total marked`. */
  readonly counted: Readonly<Record<string, number>>;
  /** Sends a body with the right token unless told otherwise; a plain value is sent as JSON. */
  send(body: string | Uint8Array | object, headers?: Record<string, string>): Promise<Response>;
}

export interface WebhookRigOptions<R> {
  readonly rows: R;
  readonly tokens?: readonly string[];
  readonly isReplicated?: (repository: string) => boolean;
  /** Bytes of bodies that may be held at once. */
  readonly heldMax?: number;
}

/** Starts the webhook on a free port, until the test is over. */
export async function startWebhook<R extends EventRows>(options: WebhookRigOptions<R>): Promise<WebhookRig<R>> {
  const { rows, tokens = [token], isReplicated = () => true, heldMax } = options;
  const counted: Record<string, number> = {};
  let woken = 0;
  const app = Fastify({ forceCloseConnections: true });
  // Nobody is told to go on sending but by the routes.
  app.server.on('checkContinue', (request, response) => void app.server.emit('request', request, response));
  addWebhookRoute(
    app,
    {
      rows,
      tokens,
      isReplicated,
      onMarked: () => (woken += 1),
      meter(name, labels = {}, by = 1) {
        const key = [name, ...Object.values(labels)].join(' ');
        counted[key] = (counted[key] ?? 0) + by;
      },
      clock: () => now,
    },
    heldMax === undefined ? {} : { heldMax },
  );
  const origin = await app.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => app.close());
  const url = origin + WEBHOOK_PATH;
  return {
    rows,
    origin,
    url,
    get woken() {
      return woken;
    },
    counted,
    send(body, headers = {}) {
      const isRaw = typeof body === 'string' || body instanceof Uint8Array;
      return fetch(url, {
        method: 'POST',
        headers: { authorization: token, 'content-type': 'application/json', ...headers },
        body: isRaw ? body : JSON.stringify(body),
      });
    },
  };
}

/** An envelope with one push of a tag. */
export function pushOf(tag: string, repository = 'group/project'): { readonly events: readonly object[] } {
  return { events: [{ action: 'push', target: { repository, tag } }] };
}
