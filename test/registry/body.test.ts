// A body that never stands still, and never comes either, is ended: its place and its connection are for others.
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createStore } from '../../src/fill/store.ts';
import { createRate } from '../../src/lib/rate.ts';
import { Inspector } from '../../src/replication/inspect.ts';
import { requestToken } from '../../src/registry/authorizer-token.ts';
import { Transport } from '../../src/registry/transport.ts';
import { blob } from '../support/content.ts';
import { digestOf } from '../fill/rig.ts';
import { scaled } from '../support/patience.ts';
import { startRawServer, type RawServer } from './raw-server.ts';

// A slow machine has the headers in that time; a body that drips is ended after half of it.
const TIMEOUT = scaled(700);
const content = blob(100_000, 'slow');
const digest = digestOf(content);

let server: RawServer;

beforeEach(async () => {
  server = await startRawServer((_request, response) => drip(response));
});
afterEach(() => server.close());

/** Sends a byte every 10 ms, for ever. */
function drip(response: ServerResponse, text = ' '): void {
  const timer = setInterval(() => response.write(text), 10);
  response.once('close', () => clearInterval(timer));
}

function dripping(status: number, headers: Record<string, string> = {}): RawServer['answering'] {
  return (_request, response) => {
    response.writeHead(status, headers);
    drip(response);
  };
}

describe('a registry that gives a byte now and then', () => {
  test('for a manifest is unavailable', async () => {
    const answer = await server.registry().manifests.get('a/b', { tag: 'v1' }, TIMEOUT);
    expect(answer).toMatchObject({ kind: 'unavailable', reason: expect.stringContaining('too slow') });
  });

  test('for a list is unavailable', async () => {
    const answer = await server.registry().lists.page({ kind: 'tags', name: 'a/b' }, '', TIMEOUT);
    expect(answer).toMatchObject({ kind: 'unavailable', reason: expect.stringContaining('too slow') });
  });

  test('for an error is understood by its status', async () => {
    server.answering = dripping(500);
    const answer = await server.registry().manifests.get('a/b', { tag: 'v1' }, TIMEOUT);
    expect(answer).toMatchObject({ kind: 'unavailable', reason: 'primary: answered 500' });
  });

  test('for a token is as one that cannot be asked', async () => {
    const dispatcher = new Transport({ connections: 1, connectTimeout: 1_000, bodyTimeout: 30_000 });
    const wanted = { realm: server.url, service: undefined, scopes: [], credentials: undefined };
    await expect(requestToken({ dispatcher, timeout: TIMEOUT }, wanted)).rejects.toThrow('token service');
    await dispatcher.destroy();
  });

  test('for a redirect keeps its connection for a moment only', async () => {
    server.answering = (request, response, nth) => {
      if (!request.url?.endsWith('/elsewhere'))
        return dripping(307, { location: '/elsewhere' })(request, response, nth);
      response.end(content.bytes);
    };
    const answer = await server.registry({ connections: 1 }).blobs.open('a/b', digest, 10_000);
    expect(answer).toMatchObject({ kind: 'found', value: { size: content.size } });
    if (answer.kind === 'found') answer.value.body.destroy();
  });

  test('for a blob that is verified breaks off: nothing is known of it', async () => {
    const effects = { clock: () => performance.now(), sleep: () => Promise.resolve() };
    const rate = createRate(2 ** 30, effects);
    const leastRate = { bytes: 1_000, window: TIMEOUT };
    server.answering = (request, response, nth) =>
      request.url === '/v2/' ? response.end('{}') : dripping(200)(request, response, nth);
    const inspector = new Inspector(server.registry(), rate, { leastRate });
    expect(await inspector.read('a/b', digest)).toMatchObject({ kind: 'unknown' });
  });
});

test('a registry that takes little of an upload, and never nothing, is given up', async () => {
  server.answering = (request, response) => {
    if (request.method === 'POST') response.writeHead(202, { location: '/v2/a/b/blobs/uploads/1' }).end();
    // A chunk each 50 ms.
    request.on('data', () => {
      request.pause();
      setTimeout(() => request.resume(), 50);
    });
    request.on('error', () => undefined);
  };
  const large = blob(16 * 1024 * 1024, 'taken slowly');
  const leastRate = { bytes: large.size / 2, window: 500 };
  const store = createStore(server.registry(), { leastRate });
  const pieces = Array.from({ length: 256 }, (_, nth) => large.bytes.subarray(nth * 65_536, (nth + 1) * 65_536));
  const body = (): Readable => Readable.from(pieces, { objectMode: false });
  const answer = await store.upload('a/b', digestOf(large), body, large.size);
  expect(answer).toMatchObject({ kind: 'unavailable', reason: expect.stringContaining('next to nothing') });
});

test('a manifest over a line of 100 kB/s comes whole', async () => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, padding: 'x'.repeat(100_000) }));
  server.answering = (_request, response) => {
    const pieces = Array.from({ length: 100 }, (_, nth) => bytes.subarray(nth * 1_001, (nth + 1) * 1_001));
    const timer = setInterval(() => {
      const piece = pieces.shift();
      if (piece) return void response.write(piece);
      clearInterval(timer);
      response.end();
    }, 10);
  };
  const answer = await server.registry().manifests.get('a/b', { tag: 'v1' }, 5_000);
  expect(answer).toMatchObject({ kind: 'found', value: { bytes } });
});
