// What a load generator can be told to do, and how it does it. It runs in a process of its own (load-process.ts).
import { createHash } from 'node:crypto';
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
}

export type Job = RateJob | PaceJob | DownloadJob;

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

async function round({ port, requests, atOnce, digest }: DownloadJob, wires: Wire[], tally: Tally): Promise<void> {
  let next = 0;
  const connection = async (nth: number): Promise<void> => {
    const wire = (wires[nth] ??= new Wire(port));
    for (let request = requests[next++]; request; request = requests[next++]) {
      const hash = digest === undefined ? undefined : createHash('sha256');
      note(tally, await wire.ask(request, hash && ((part) => hash.update(part))));
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

/** Does a job. @throws Error where a connection broke off. */
export async function work(job: Job): Promise<Outcome> {
  const tally: Tally = { times: [], firstBytes: [], refused: 0, bytes: 0 };
  const begin = performance.now();
  if (job.kind === 'rate') await rate(job, tally);
  else if (job.kind === 'pace') await pace(job, tally);
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
