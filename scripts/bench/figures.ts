// What is measured: each figure with what it has to be.
import { createHash } from 'node:crypto';
import { request } from 'undici';
import { largeBlob, type Blob } from '../../test/support/content.ts';
import { pushBlob } from '../../test/support/push.ts';
import type { Sites } from '../../test/support/sites.ts';
import { startProxyProcess } from './proxy-process.ts';

/** One row of the table; `limit` is the most that the value may be. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly limit?: number;
  readonly unit: 'ms' | 'MiB' | 's' | 'x';
  readonly runs: number;
}

const MIB = 1024 * 1024;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function environment(sites: Sites): Record<string, string> {
  // Straight to the registries: the relays of the tests would be measured, too.
  return {
    ...sites.env(),
    GEO_PRIMARY_URL: sites.primary.url,
    GEO_SECONDARY_URL: sites.secondary.url,
    GEO_LOG_LEVEL: 'info',
  };
}

interface Read {
  readonly firstByte: number;
  readonly total: number;
  readonly bytes: number;
}

/** Reads a blob to its end, into nothing; with `digest`, checked. */
async function read(url: string, repository: string, blob: Blob, token: string, isChecked = false): Promise<Read> {
  const begin = performance.now();
  const response = await request(`${url}/v2/${repository}/blobs/${blob.digest}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode} ${await response.body.text()}`);
  let firstByte = 0;
  let bytes = 0;
  const hash = createHash('sha256');
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    if (bytes === 0) firstByte = performance.now() - begin;
    bytes += chunk.length;
    if (isChecked) hash.update(chunk);
  }
  if (isChecked && `sha256:${hash.digest('hex')}` !== blob.digest) throw new Error('wrong bytes');
  return { firstByte, total: performance.now() - begin, bytes };
}

/** From the start of the process to the first connection that it takes. */
export async function startup(sites: Sites, bin: string, runs = 7): Promise<Figure[]> {
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const proxy = await startProxyProcess(bin, environment(sites));
    times.push(proxy.startup);
    await proxy.stop();
  }
  return [{ name: 'start to listening', value: median(times), limit: 1_000, unit: 'ms', runs }];
}

/** The first byte of a cold blob through the proxy against the primary's own, turn by turn. */
export async function firstByte(sites: Sites, bin: string, runs = 15): Promise<Figure[]> {
  const repository = 'bench/first-byte';
  const token = sites.pullToken(repository);
  const proxy = await startProxyProcess(bin, environment(sites));
  const direct: number[] = [];
  const cold: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const blob = await largeBlob(8 * MIB, `first-byte-${run}`);
    await pushBlob(sites.primaryTarget(repository), blob);
    const own = await read(sites.primary.url, repository, blob, token);
    const ours = await read(proxy.url, repository, blob, token);
    // The first turn opens the connections.
    if (run === 0) continue;
    direct.push(own.firstByte);
    cold.push(ours.firstByte);
  }
  await proxy.stop();
  const difference = median(cold.map((time, run) => time - direct[run]!));
  return [
    { name: 'first byte, primary itself', value: median(direct), unit: 'ms', runs },
    { name: 'first byte, cold through the proxy', value: median(cold), unit: 'ms', runs },
    { name: 'first byte, difference', value: difference, limit: 20, unit: 'ms', runs },
  ];
}

/** Memory with many readers of one large cold blob; each reads all of it. */
export async function memory(sites: Sites, bin: string, readers = 16): Promise<Figure[]> {
  const repository = 'bench/memory';
  const token = sites.pullToken(repository);
  const blob = await largeBlob(1024 * MIB, 'memory');
  await pushBlob(sites.primaryTarget(repository), blob);
  const own = await read(sites.primary.url, repository, blob, token);
  const proxy = await startProxyProcess(bin, environment(sites));
  const idle = proxy.peakMemory();
  const begin = performance.now();
  const reads = await Promise.all(
    Array.from({ length: readers }, (_, reader) => read(proxy.url, repository, blob, token, reader === 0)),
  );
  const seconds = (performance.now() - begin) / 1_000;
  const peak = proxy.peakMemory();
  await proxy.stop();
  if (reads.some(({ bytes }) => bytes !== blob.size)) throw new Error('a reader got too little');
  const name = `${readers} readers of a cold 1 GiB blob`;
  return [
    { name: 'peak memory, idle', value: idle / MIB, unit: 'MiB', runs: 1 },
    { name: `peak memory, ${name}`, value: peak / MIB, limit: 200, unit: 'MiB', runs: 1 },
    { name: `time, ${name}`, value: seconds, unit: 's', runs: 1 },
    { name: 'time, one reader at the primary itself', value: own.total / 1_000, unit: 's', runs: 1 },
  ];
}
