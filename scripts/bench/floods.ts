// What one client, or a primary, can send to do harm: each flood as a job of a load generator.
import type { Sites } from '../../test/support/sites.ts';
import { ACCEPT_ALL } from '../../src/oci/media-types.ts';
import { WEBHOOK_PATH } from '../../src/replication/webhook.ts';
import type { FloodJob } from './jobs.ts';
import type { WireRequest } from './wire.ts';

/** One flood; the program's own administration listener is one of its ports. */
export interface Flood {
  readonly name: string;
  readonly requests: (sites: Sites) => readonly WireRequest[];
  readonly connections: number;
  /** Milliseconds of a round trip to the primary. */
  readonly roundTrip?: number;
  readonly isToAdmin?: boolean;
}

/** The secret of the webhook. */
export const EVENTS_TOKEN = 'secret-of-the-benchmark';

const MIB = 1024 * 1024;

function get(sites: Sites, repository: string, path: string, headers: Record<string, string> = {}): WireRequest {
  const own = { authorization: `Bearer ${sites.pullToken(repository)}`, accept: ACCEPT_ALL, ...headers };
  return { method: 'GET', path: `/v2/${repository}/${path}`, headers: own };
}

function post(body: string): WireRequest {
  const headers = { authorization: EVENTS_TOKEN, 'content-type': 'application/json' };
  return { method: 'POST', path: WEBHOOK_PATH, headers, body };
}

function renameOf(nth: number): object {
  const rename = { type: 'namespace', from: `bench/a${nth}`, to: `bench/b${nth}` };
  return { action: 'rename', target: { repository: rename.from, rename } };
}

function renames(count: number): string {
  return JSON.stringify({ events: Array.from({ length: count }, (_, nth) => renameOf(nth)) });
}

function nesting(size: number): string {
  return '['.repeat(size / 2) + ']'.repeat(size / 2);
}

/** All floods, each beside another client that pulls. */
export const floods: readonly Flood[] = [
  {
    name: 'random digests of blobs',
    requests: (sites) => [get(sites, 'hostile/random', 'blobs/sha256:#')],
    connections: 400,
    roundTrip: 80,
  },
  {
    name: 'random digests of manifests',
    requests: (sites) => [get(sites, 'hostile/random', 'manifests/sha256:#')],
    connections: 400,
    roundTrip: 80,
  },
  {
    name: 'a primary at a byte a second',
    requests: (sites) => [
      ...Array.from({ length: 4 }, () => get(sites, 'hostile/slow', 'manifests/sha256:#')),
      ...Array.from({ length: 10 }, () => get(sites, 'hostile/slow', 'blobs/sha256:#')),
    ],
    connections: 14,
  },
  {
    name: 'Accept headers of 60 KB',
    // Of another beginning each: a type of 60,000 characters after short ones.
    requests: (sites) => [
      get(sites, 'bench/warm', 'manifests/v1', { accept: `x/#, ${ACCEPT_ALL}, ${'x/y, '.repeat(11_800)}x/#` }),
    ],
    connections: 8,
  },
  {
    name: 'X-Forwarded-For of 60 KB',
    requests: (sites) => [get(sites, 'bench/warm', 'manifests/v1', { 'x-forwarded-for': '::1,'.repeat(15_000) })],
    connections: 8,
  },
  { name: 'events of 70,000 renames', requests: () => [post(renames(70_000))], connections: 2 },
  { name: 'events of 100 renames', requests: () => [post(renames(100))], connections: 2 },
  { name: 'events of 8 MiB of nesting', requests: () => [post(nesting(8 * MIB))], connections: 2 },
  {
    name: 'a Link of 15,000 brackets',
    requests: (sites) => [get(sites, 'hostile/links', 'tags/list')],
    connections: 4,
  },
  {
    name: 'a catalog of 300,000 names',
    requests: () => [
      {
        method: 'POST',
        path: '/api/replication/backfill',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      },
    ],
    connections: 1,
    isToAdmin: true,
  },
];

/** A flood of so many seconds, on one of the proxy's ports. */
export function jobOf(flood: Flood, sites: Sites, port: number, seconds: number): FloodJob {
  return { kind: 'flood', port, requests: flood.requests(sites), connections: flood.connections, seconds };
}
