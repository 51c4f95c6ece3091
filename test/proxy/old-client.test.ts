// Clients that speak HTTP/1.0, as nginx does to its upstreams unless told: without a length a cut body looks whole to them.
import { truncate } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { blob, digestOf, type SmallBlob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { calm } from './local-copy.ts';
import { dial, readToEnd, type WireAnswer } from './wire.ts';

let site: ProxySite;
const name = 'old/client';
beforeAll(async () => {
  site = await startProxySite();
});
afterEach(() => calm(site));
afterAll(() => site.close());

async function ask({ digest }: SmallBlob): Promise<WireAnswer> {
  const socket = await dial(site.proxy.url);
  socket.write(
    `GET /v2/${name}/blobs/${digest} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer ${site.pullToken(name)}\r\n\r\n`,
  );
  return readToEnd(socket);
}

function expectWhole({ status, headers, body }: WireAnswer, { size, digest }: SmallBlob): void {
  expect({ status, length: headers['content-length'], chunked: headers['transfer-encoding'] }).toEqual({
    status: 200,
    length: String(size),
    chunked: undefined,
  });
  expect(digestOf(Buffer.from(body, 'latin1'))).toBe(digest);
}

test('a local blob of which nobody knows the size', async () => {
  const layer = blob(2_000_000, 'old local');
  await pushBlob(site.secondaryTarget(name), layer);
  expectWhole(await ask(layer), layer);
});

test('a local blob that was cut short', async () => {
  const layer = blob(2_000_000, 'old short');
  await pushBlob(site.primaryTarget(name), layer);
  await pushBlob(site.secondaryTarget(name), layer);
  await truncate(site.secondary.blobFile(layer.digest), 1_000_000);
  expectWhole(await ask(layer), layer);
});

test('a blob of which the primary does not tell the size', async () => {
  const layer = blob(2_000_000, 'old chunked');
  await pushBlob(site.primaryTarget(name), layer);
  site.relay.rules.push({ match: ({ path }) => path.includes(layer.digest), chunked: true, ignoreRange: true });
  expectWhole(await ask(layer), layer);
});
