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

/** Those who follow. */
export interface Events {
  /** Whether another one may follow. */
  readonly hasRoom: boolean;
  /** Sends all events into an answer whose headers are sent, until it is closed; `isAllowed` is asked now and then. */
  follow(response: ServerResponse, isAllowed: () => boolean): void;
  /** Ends all answers. */
  close(): void;
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

/** @see Events */
export function createEvents(
  { snapshot, pulls, transfers, log }: EventSources,
  { most = MOST, every = EVERY, heartbeat = HEARTBEAT }: EventOptions = {},
): Events {
  const followers = new Map<ServerResponse, () => boolean>();
  let timer: NodeJS.Timeout | undefined;
  let unlisten: (() => void) | undefined;
  let waiting: Pull[] = [];
  const told = { status: '', transfers: '', traffic: '' };
  let [step, isTaking, beatAt, restsUntil] = [0, false, 0, 0];

  function sendAll(text: string): void {
    for (const response of followers.keys()) send(response, text);
  }

  function transfersText(): string {
    return eventText('transfers', { transfers: transfers.list() });
  }

  function trafficText(): string {
    const point = pulls.traffic('hour').points.at(-1);
    return point ? eventText('traffic', point) : '';
  }

  async function sendStatus(isDue: boolean): Promise<void> {
    const startedAt = performance.now();
    if (isTaking || (!isDue && startedAt < restsUntil)) return;
    isTaking = true;
    try {
      const now = await snapshot();
      const text = changing(now);
      if (isDue || text !== told.status) sendAll(eventText('status', now));
      told.status = text;
    } catch (error) {
      log.debug({ reason: (error as Error).message }, 'no status for those who follow the events');
    } finally {
      isTaking = false;
      const endedAt = performance.now();
      restsUntil = endedAt + REST * (endedAt - startedAt);
    }
  }

  function sendPulls(): void {
    if (waiting.length === 0) return;
    const batch = waiting.slice(-PULLS_MAX).toReversed();
    waiting = [];
    sendAll(eventText('pull', batch));
  }

  function sendChanged(name: 'transfers' | 'traffic', text: string): void {
    if (text === told[name]) return;
    told[name] = text;
    sendAll(text);
  }

  function leave(): void {
    for (const [response, isAllowed] of followers) if (!isAllowed()) response.end();
  }

  function beat(): void {
    const now = performance.now();
    if (now - beatAt < heartbeat) return;
    beatAt = now;
    sendAll(': \n\n');
  }

  function tick(): void {
    step += 1;
    const isDue = step % STATUS_STEPS === 0;
    if (isDue) leave();
    sendPulls();
    sendChanged('transfers', transfersText());
    sendChanged('traffic', trafficText());
    void sendStatus(isDue);
    beat();
  }

  function start(): void {
    beatAt = performance.now();
    timer = setInterval(tick, every).unref();
    unlisten = pulls.onPull((pull) => {
      waiting.push(pull);
      if (waiting.length > 2 * PULLS_MAX) waiting = waiting.slice(-PULLS_MAX);
    });
  }

  function stop(): void {
    clearInterval(timer);
    unlisten?.();
    waiting = [];
  }

  function drop(response: ServerResponse): void {
    if (followers.delete(response) && followers.size === 0) stop();
  }

  return {
    get hasRoom() {
      return followers.size < most;
    },
    follow(response, isAllowed) {
      if (followers.size === 0) start();
      followers.set(response, isAllowed);
      response.once('close', () => drop(response));
      send(response, transfersText() + trafficText());
      snapshot().then(
        (now) => void (followers.has(response) && send(response, eventText('status', now))),
        // The next step tries again.
        () => undefined,
      );
    },
    close() {
      for (const response of followers.keys()) response.end();
    },
  };
}
