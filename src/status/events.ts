// Server-sent events (`GET /api/events`): the status when it changes and every 5 s, pulls as they come, transfers and
// traffic. What is sent is made once for all who follow; who reads too slowly is let go.
import type { ServerResponse } from 'node:http';
import type { Log } from '../lib/log.ts';
import type { Pull, Snapshot, Traffic, Transfer } from './api.ts';

/** Where the events come from. */
export interface EventSources {
  readonly snapshot: () => Promise<Snapshot>;
  readonly pulls: {
    onPull(listener: (pull: Pull) => void): () => void;
    traffic(window: 'hour' | 'day'): Traffic;
  };
  readonly transfers: { list(): readonly Transfer[] };
  readonly log: Log;
}

/** Knobs: followers at once, times in milliseconds. */
export interface EventOptions {
  readonly most?: number;
  readonly every?: number;
  readonly heartbeat?: number;
}

const MOST = 64;
const EVERY = 1_000;
const HEARTBEAT = 15_000;
// A status is sent in so many steps though nothing has changed: silence means to the page that the connection is lost.
const STATUS_STEPS = 5;
// A status that takes its time, of very many rows, is taken more seldom: it must not keep the database busy.
const REST = 10;
// Pulls that are sent in one step; more than the page shows are of no use.
const PULLS_MAX = 200;
// Bytes that wait for a follower that does not read.
const WAITING_MAX = 1024 * 1024;

function eventText(name: string, value: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;
}

/** What of a snapshot is no change by itself. */
function changing(snapshot: Snapshot): string {
  return JSON.stringify({ ...snapshot, uptimeMs: 0 });
}

function send(response: ServerResponse, text: string): void {
  if (response.writableLength > WAITING_MAX) response.destroy();
  else response.write(text);
}

/** Those who follow. */
export class Events {
  readonly #sources: EventSources;
  readonly #options: Required<EventOptions>;
  readonly #followers = new Map<ServerResponse, () => boolean>();
  #timer: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;
  #waiting: Pull[] = [];
  readonly #told = { status: '', transfers: '', traffic: '' };
  #step = 0;
  #isTaking = false;
  #beatAt = 0;
  #restsUntil = 0;

  constructor(sources: EventSources, { most = MOST, every = EVERY, heartbeat = HEARTBEAT }: EventOptions = {}) {
    this.#sources = sources;
    this.#options = { most, every, heartbeat };
  }

  #sendAll(text: string): void {
    for (const response of this.#followers.keys()) send(response, text);
  }

  #transfersText(): string {
    const { transfers } = this.#sources;
    return eventText('transfers', { transfers: transfers.list() });
  }

  #trafficText(): string {
    const { pulls } = this.#sources;
    const point = pulls.traffic('hour').points.at(-1);
    return point ? eventText('traffic', point) : '';
  }

  async #sendStatus(isDue: boolean): Promise<void> {
    const { snapshot, log } = this.#sources;
    const startedAt = performance.now();
    if (this.#isTaking || (!isDue && startedAt < this.#restsUntil)) return;
    this.#isTaking = true;
    try {
      const now = await snapshot();
      const text = changing(now);
      if (isDue || text !== this.#told.status) this.#sendAll(eventText('status', now));
      this.#told.status = text;
    } catch (error) {
      log.debug({ reason: (error as Error).message }, 'no status for those who follow the events');
    } finally {
      this.#isTaking = false;
      const endedAt = performance.now();
      this.#restsUntil = endedAt + REST * (endedAt - startedAt);
    }
  }

  #sendPulls(): void {
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting.slice(-PULLS_MAX).toReversed();
    this.#waiting = [];
    this.#sendAll(eventText('pull', batch));
  }

  #sendChanged(name: 'transfers' | 'traffic', text: string): void {
    if (text === this.#told[name]) return;
    this.#told[name] = text;
    this.#sendAll(text);
  }

  #leave(): void {
    for (const [response, isAllowed] of this.#followers) if (!isAllowed()) response.end();
  }

  #beat(): void {
    const { heartbeat } = this.#options;
    const now = performance.now();
    if (now - this.#beatAt < heartbeat) return;
    this.#beatAt = now;
    this.#sendAll(': \n\n');
  }

  #tick(): void {
    this.#step += 1;
    const isDue = this.#step % STATUS_STEPS === 0;
    if (isDue) this.#leave();
    this.#sendPulls();
    this.#sendChanged('transfers', this.#transfersText());
    this.#sendChanged('traffic', this.#trafficText());
    void this.#sendStatus(isDue);
    this.#beat();
  }

  #start(): void {
    const { every } = this.#options;
    const { pulls } = this.#sources;
    this.#beatAt = performance.now();
    this.#timer = setInterval(() => this.#tick(), every).unref();
    this.#unlisten = pulls.onPull((pull) => {
      this.#waiting.push(pull);
      if (this.#waiting.length > 2 * PULLS_MAX) this.#waiting = this.#waiting.slice(-PULLS_MAX);
    });
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#unlisten?.();
    this.#waiting = [];
  }

  #drop(response: ServerResponse): void {
    if (this.#followers.delete(response) && this.#followers.size === 0) this.#stop();
  }

  /** Whether another one may follow. */
  get hasRoom(): boolean {
    return this.#followers.size < this.#options.most;
  }

  /** Sends all events into an answer whose headers are sent, until it is closed; `isAllowed` is asked now and then. */
  follow(response: ServerResponse, isAllowed: () => boolean): void {
    if (this.#followers.size === 0) this.#start();
    this.#followers.set(response, isAllowed);
    response.once('close', () => this.#drop(response));
    send(response, this.#transfersText() + this.#trafficText());
    this.#sources.snapshot().then(
      (now) => void (this.#followers.has(response) && send(response, eventText('status', now))),
      // The next step tries again.
      () => undefined,
    );
  }

  /** Ends all answers. */
  close(): void {
    for (const response of this.#followers.keys()) response.end();
  }
}
