// What a load generator can be told to do, and how it does it. It runs in a process of its own (load-process.ts).
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from './figure.ts';
import { Wire, type WireAnswer, type WireRequest } from './wire.ts';

/** Requests from connections that never rest, for a time. */
export interface RateJob {
  readonly kind: 'rate';
  readonly port: number;
  /** Asked in turn. */
  readonly requests: readonly WireRequest[];
  readonly connections: number;
  readonly seconds: number;
}

/**
 * Requests at a rate of their own, whatever the answers take. Each carries its number where `#` stands in its body, and
 * one of 100 numbers where `@` stands.
 */
export interface PaceJob {
  readonly kind: 'pace';
  readonly port: number;
  readonly request: WireRequest;
  readonly perSecond: number;
  readonly connections: number;
  readonly seconds: number;
}

/** Bodies, so many at once, each to its end; again and again until the time is over, once without one. */
export interface DownloadJob {
  readonly kind: 'download';
  readonly port: number;
  readonly requests: readonly WireRequest[];
  readonly atOnce: number;
  readonly seconds?: number;
  /** What each body has to hash to: costs time. */
  readonly digest?: string;
  /** Milliseconds after which an answer that is not whole counts as refused; it is waited for without end otherwise. */
  readonly timeout?: number;
}

/**
 * Requests that are made to do harm, from connections that never rest and are cut when the time is over, whatever they
 * wait for. Each has 64 random hexadecimal digits where `#` stands in its path or its headers.
 */
export interface FloodJob {
  readonly kind: 'flood';
  readonly port: number;
  /** Each connection begins with another one. */
  readonly requests: readonly WireRequest[];
  readonly connections: number;
  readonly seconds: number;
}

export type Job = RateJob | PaceJob | DownloadJob | FloodJob;

/** What came of it; times in milliseconds, except `seconds`. */
export interface Outcome {
  readonly seconds: number;
  readonly answers: number;
  /** Answers that were no 200. */
  readonly refused: number;
  readonly bytes: number;
  readonly p50: number;
  readonly p99: number;
  readonly firstByte: number;
}

interface Tally {
  readonly times: number[];
  readonly firstBytes: number[];
  refused: number;
  bytes: number;
}

function note(tally: Tally, { status, bytes, total, firstByte }: WireAnswer, since?: number): void {
  tally.times.push(since === undefined ? total : performance.now() - since);
  tally.firstBytes.push(firstByte);
  tally.bytes += bytes;
  if (status !== 200) tally.refused += 1;
}

async function rate({ port, requests, connections, seconds }: RateJob, tally: Tally): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  let next = 0;
  const connection = async (): Promise<void> => {
    const wire = new Wire(port);
    while (performance.now() < end) note(tally, await wire.ask(requests[(next += 1) % requests.length]!));
    wire.close();
  };
  await Promise.all(Array.from({ length: connections }, connection));
}

async function pace({ port, request, perSecond, connections, seconds }: PaceJob, tally: Tally): Promise<void> {
  const idle = Array.from({ length: connections }, () => new Wire(port));
  const wires = [...idle];
  const due: { readonly nth: number; readonly at: number }[] = [];
  const total = Math.round(perSecond * seconds);
  const { body = '' } = request;
  const begin = performance.now();
  const failures: unknown[] = [];
  const send = async (wire: Wire): Promise<void> => {
    for (let event = due.shift(); event; event = due.shift()) {
      const own = body.replaceAll('#', String(event.nth)).replaceAll('@', String(event.nth % 100));
      const answer = await wire.ask({ ...request, body: own });
      // Since it was due: a connection that was not free in time is waiting, too.
      note(tally, answer, event.at);
    }
    idle.push(wire);
  };
  for (let nth = 0; nth < total || tally.times.length < total;) {
    if (failures.length > 0) throw failures[0];
    const wanted = Math.min(total, ((performance.now() - begin) / 1_000) * perSecond);
    for (; nth < wanted; nth += 1) due.push({ nth, at: begin + (nth / perSecond) * 1_000 });
    while (due.length > 0 && idle.length > 0) send(idle.pop()!).catch((error: unknown) => failures.push(error));
    await sleep(1);
  }
  for (const wire of wires) wire.close();
}

/** What stands for an answer that did not come in time. */
function late(time: number): WireAnswer {
  return { status: 0, bytes: 0, firstByte: time, total: time };
}

/** Asks, and cuts the connection when the time is over. */
async function askInTime(wire: Wire, request: WireRequest, time: number): Promise<WireAnswer> {
  const over = new AbortController();
  const limit = sleep(time, late(time), { signal: over.signal }).catch(() => late(time));
  // A connection that is cut while an answer is waited for is what the limit is for.
  const answer = await Promise.race([wire.ask(request).catch(() => late(time)), limit]);
  over.abort();
  if (answer.status === 0) wire.close();
  return answer;
}

async function round(
  { port, requests, atOnce, digest, timeout }: DownloadJob,
  wires: Wire[],
  tally: Tally,
): Promise<void> {
  let next = 0;
  const connection = async (nth: number): Promise<void> => {
    const wire = (wires[nth] ??= new Wire(port));
    for (let request = requests[next++]; request; request = requests[next++]) {
      const hash = digest === undefined ? undefined : createHash('sha256');
      if (timeout !== undefined) note(tally, await askInTime(wire, request, timeout));
      else note(tally, await wire.ask(request, hash && ((part) => hash.update(part))));
      if (hash && `sha256:${hash.digest('hex')}` !== digest) throw new Error(`wrong bytes of ${request.path}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, nth) => connection(nth)));
}

async function download(job: DownloadJob, tally: Tally): Promise<void> {
  const end = performance.now() + (job.seconds ?? 0) * 1_000;
  const wires: Wire[] = [];
  do await round(job, wires, tally);
  while (performance.now() < end);
  for (const wire of wires) wire.close();
}

function withDigits(text: string): string {
  return text.replaceAll('#', () => randomBytes(32).toString('hex'));
}

function another({ path, headers = {}, ...request }: WireRequest): WireRequest {
  const entries = Object.entries(headers).map(([name, value]) => [name, withDigits(value)]);
  return { ...request, path: withDigits(path), headers: Object.fromEntries(entries) as Record<string, string> };
}

async function flood({ port, requests, connections, seconds }: FloodJob, tally: Tally): Promise<void> {
  const time = new AbortController();
  const { signal } = time;
  const wires = new Set<Wire>();
  const connection = async (_: unknown, nth: number): Promise<void> => {
    for (let next = nth; !signal.aborted; next += 1) {
      const wire = new Wire(port);
      wires.add(wire);
      try {
        for (; !signal.aborted; next += 1) note(tally, await wire.ask(another(requests[next % requests.length]!)));
      } catch {
        // Cut off by the server, or by us.
        await sleep(10);
      }
      wires.delete(wire);
      wire.close();
    }
  };
  const all = Promise.all(Array.from({ length: connections }, connection));
  await sleep(seconds * 1_000);
  time.abort();
  for (const wire of wires) wire.close();
  await all;
}

/** Does a job. @throws Error where a connection broke off. */
export async function work(job: Job): Promise<Outcome> {
  const tally: Tally = { times: [], firstBytes: [], refused: 0, bytes: 0 };
  const begin = performance.now();
  if (job.kind === 'rate') await rate(job, tally);
  else if (job.kind === 'pace') await pace(job, tally);
  else if (job.kind === 'flood') await flood(job, tally);
  else await download(job, tally);
  const { times, firstBytes, refused, bytes } = tally;
  return {
    seconds: (performance.now() - begin) / 1_000,
    answers: times.length,
    refused,
    bytes,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    firstByte: percentile(firstBytes, 0.5),
  };
}
