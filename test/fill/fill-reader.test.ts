// A reader by itself: what it does to the response that it writes to.
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { BlobFill } from '../../src/fill/blob-fill.ts';
import { FillReader } from '../../src/fill/reader.ts';
import { blob, digestOf as digestOfBytes, type SmallBlob } from '../support/content.ts';
import { pushBlob } from '../support/push.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf } from './download.ts';
import { createRig, digestOf, startRigSites, type Rig, type RigSites } from './rig.ts';

const MiB = 1024 * 1024;

let sites: RigSites;

beforeAll(async () => {
  sites = await startRigSites();
});
afterEach(() => sites.relay.reset());
afterAll(() => sites.close());

async function opened(rig: Rig, content: SmallBlob): Promise<BlobFill> {
  await pushBlob(sites.primaryTarget('reader/app'), content);
  const answer = await rig.filler.open('reader/app', digestOf(content), 'on-demand');
  if (answer.kind !== 'found') throw new Error(answer.kind);
  return answer.value;
}

/** A response that a client waits for: chunked, so that an end which comes too early looks right to it. */
async function response(): Promise<{ target: ServerResponse; client: IncomingMessage }> {
  const server = createServer((_request, target) => {
    target.flushHeaders();
    server.emit('target', target);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const [[target], [client]] = await Promise.all([
    once(server, 'target') as Promise<[ServerResponse]>,
    once(get({ port: (server.address() as AddressInfo).port }), 'response') as Promise<[IncomingMessage]>,
  ]);
  return { target, client };
}

async function receive(client: IncomingMessage): Promise<{ digest: string; size: number; whole: boolean }> {
  const chunks: Buffer[] = [];
  let whole = true;
  try {
    for await (const chunk of client) chunks.push(chunk as Buffer);
  } catch {
    whole = false;
  }
  const bytes = Buffer.concat(chunks);
  return { digest: digestOfBytes(bytes), size: bytes.length, whole };
}

interface HeldReader {
  readonly reader: FillReader;
  readonly target: ServerResponse;
  readonly client: IncomingMessage;
  readonly holdGate: ReturnType<typeof createGate>;
  readonly fill: BlobFill;
}

/** A reader that writes to a client, and whose source holds after its first MiB until the gate is opened. */
async function heldReader(rig: Rig, content: SmallBlob): Promise<HeldReader> {
  const holdGate = createGate();
  onTestFinished(() => holdGate.open());
  sites.relay.rules.push({ match: bodyOf(content), holdAfter: MiB, holdGate });
  const fill = await opened(rig, content);
  const { target, client } = await response();
  const reader = new FillReader(fill);
  reader.on('error', () => {});
  reader.pipe(target);
  await fill.release();
  return { reader, target, client, holdGate, fill };
}

test('writes every byte once, whatever the pace of the client', async () => {
  await using rig = await createRig(sites);
  const content = blob(12 * MiB + 7, 'paces');
  const fill = await opened(rig, content);
  const { target, client } = await response();
  new FillReader(fill).pipe(target);
  await fill.release();
  // A client that begins late, when all that the sockets hold is on its way.
  await fill.ended;
  expect(await receive(client)).toEqual({ digest: content.digest, size: content.size, whole: true });
});

test('does not end the response when it is destroyed before it is done', async () => {
  await using rig = await createRig(sites);
  const content = blob(2 * MiB, 'destroyed');
  const { reader, target, client, holdGate, fill } = await heldReader(rig, content);
  await waitFor(() => holdGate.arrived === 1 && client.readableLength > 0, { what: 'the first bytes' });
  reader.destroy();
  await once(reader, 'close');
  holdGate.open();
  await fill.ended;
  expect(target.writableEnded).toBe(false);
  target.destroy();
  expect(await receive(client)).toMatchObject({ whole: false });
});

test('gives its hold back when its client leaves', async () => {
  await using rig = await createRig(sites, { filler: { linger: 0 } });
  const content = blob(2 * MiB, 'leaves');
  const { reader, target, client, holdGate } = await heldReader(rig, content);
  client.destroy();
  await once(target, 'close');
  // The pipe alone does not know; whoever sends the response destroys what it was to send.
  reader.destroy();
  holdGate.open();
  await waitFor(() => rig.spool.used === 0, { what: 'the file to be let go' });
});

test('of a fill that is gone fails at once', async () => {
  await using rig = await createRig(sites);
  const fill = await opened(rig, blob(1_000, 'gone'));
  await fill.ended;
  await rig.filler.close(1_000);
  await fill.release();
  expect(fill.isGone).toBe(true);
  const reader = new FillReader(fill);
  await expect(once(reader, 'data')).rejects.toThrow('the spool file is gone');
});
