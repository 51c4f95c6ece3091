import { Agent, request } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { blob, digestOf, largeBlob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { pushBlob, pushImage } from '../support/push.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createGate } from '../support/relay-rule.ts';
import { startRelay, type Relay } from '../support/relay.ts';
import { waitFor } from '../support/tool.ts';

const content = blob(1_000_000);
const path = `/v2/group/app/blobs/${content.digest}`;

let registry: Registry;
let relay: Relay;

beforeAll(async () => {
  registry = await startRegistry({ name: 'behind the relay' });
  relay = await startRelay({ target: registry.url });
  await pushBlob({ url: registry.url, repository: 'group/app' }, content);
});
afterEach(async () => {
  await relay.up();
  relay.reset();
});
afterAll(async () => {
  await relay.close();
  await registry.close();
});

const get = (init: RequestInit = {}): Promise<Response> => fetch(relay.url + path, init);

/** How many body bytes came, and whether the connection broke before the end. */
async function receive(response: Response): Promise<{ bytes: Buffer; broken: boolean }> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of response.body ?? []) chunks.push(chunk);
    return { bytes: Buffer.concat(chunks), broken: false };
  } catch {
    return { bytes: Buffer.concat(chunks), broken: true };
  }
}

describe('without a rule a relay', () => {
  it('passes on an answer unchanged and counts its body', async () => {
    const [direct, relayed] = [await fetch(registry.url + path), await get()];
    expect({ ...Object.fromEntries(relayed.headers), connection: 'keep-alive' }).toEqual({
      ...Object.fromEntries(direct.headers),
      connection: 'keep-alive',
      date: expect.any(String),
    });
    expect(digestOf((await receive(relayed)).bytes)).toBe(content.digest);
    await direct.body?.cancel();
    expect(relay.requests).toMatchObject([{ method: 'GET', path, nth: 1, status: 200, bodyBytes: 1_000_000 }]);
  });

  it('passes on Range and HEAD, of which the body counts as what was sent', async () => {
    const part = await receive(await get({ headers: { range: 'bytes=10-19' } }));
    expect(part.bytes).toEqual(content.bytes.subarray(10, 20));
    const head = await get({ method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe('1000000');
    expect(relay.bodyBytes()).toBe(10);
    expect(relay.count(({ method }) => method === 'HEAD')).toBe(1);
  });

  it('carries a push, whose upload goes through it as the registry says', async () => {
    await pushImage({ url: relay.url, repository: 'group/app' }, 'pushed', image('pushed'));
    expect(relay.count(({ method, status }) => method === 'PUT' && status === 201)).toBe(5);
  });

  it('passes back-pressure on: a client that reads nothing holds the registry up', async () => {
    const large = await largeBlob(64 * 1024 * 1024);
    await pushBlob({ url: registry.url, repository: 'group/app' }, large);
    const agent = new Agent();
    const asked = request(`${relay.url}/v2/group/app/blobs/${large.digest}`, { agent }).end();
    const arrived = await new Promise<NodeJS.ReadableStream>((settle) => asked.once('response', settle));
    let before = -1;
    await waitFor(
      () => {
        const now = relay.bodyBytes();
        const standing = now > 0 && now === before;
        before = now;
        return new Promise((settle) => setTimeout(settle, 100, standing));
      },
      { what: 'the body to stand still' },
    );
    expect(relay.bodyBytes()).toBeLessThan(32 * 1024 * 1024);
    arrived.resume();
    await waitFor(() => relay.bodyBytes() === large.size, { what: 'the rest of the body' });
    agent.destroy();
  });

  it('breaks the connection when the registry is gone', async () => {
    await registry.stop();
    await expect(get()).rejects.toThrow('fetch failed');
    await registry.start();
    expect((await receive(await get())).broken).toBe(false);
  });
});

describe('a rule', () => {
  it('answers in place of the registry', async () => {
    relay.rules.push({ answer: { status: 429, headers: { 'retry-after': '7' }, body: 'slow down' } });
    const response = await get();
    expect([response.status, response.headers.get('retry-after'), await response.text()]).toEqual([
      429,
      '7',
      'slow down',
    ]);
    expect(relay.requests[0]).toMatchObject({ status: 429, bodyBytes: 9, state: 'complete' });
  });

  it('is applied to the requests that it matches, as often as it says', async () => {
    relay.rules.push({ match: ({ nth }) => nth > 1, times: 1, answer: { status: 503 } });
    const statuses = [(await get()).status, (await get()).status, (await get()).status];
    expect(statuses).toEqual([200, 503, 200]);
    expect(relay.rules[0]?.used).toBe(1);
  });

  it('cuts the body after so many bytes', async () => {
    relay.rules.push({ cutAfter: 300_000 });
    const { bytes, broken } = await receive(await get());
    expect(broken).toBe(true);
    expect(bytes.equals(content.bytes.subarray(0, 300_000))).toBe(true);
    await waitFor(() => relay.requests[0]?.state === 'cut', { what: 'the record' });
    expect(relay.bodyBytes()).toBe(300_000);
  });

  it('flips a bit of one byte', async () => {
    relay.rules.push({ corruptAt: 700_000 });
    const { bytes } = await receive(await get());
    const wrong = bytes.findIndex((byte, offset) => byte !== content.bytes[offset]);
    expect(wrong).toBe(700_000);
    expect(bytes.subarray(700_001).equals(content.bytes.subarray(700_001))).toBe(true);
  });

  it('limits the rate', async () => {
    relay.rules.push({ bytesPerSecond: 5_000_000 });
    const start = performance.now();
    expect(digestOf((await receive(await get())).bytes)).toBe(content.digest);
    // Only a lower bound: it holds however slow the machine is.
    expect(performance.now() - start).toBeGreaterThan(190);
  });

  it('delays the headers', async () => {
    relay.rules.push({ delay: 100 });
    const start = performance.now();
    await (await get()).body?.cancel();
    expect(performance.now() - start).toBeGreaterThan(95);
  });

  it('never answers', async () => {
    relay.rules.push({ hang: true });
    const leaving = new AbortController();
    const waiting = get({ signal: leaving.signal });
    await waitFor(() => relay.count() === 1, { what: 'the request' });
    leaving.abort();
    await expect(waiting).rejects.toThrow('aborted');
    await waitFor(() => relay.requests[0]?.state === 'cut', { what: 'the record' });
    expect(relay.requests[0]?.status).toBe(0);
  });

  it('stops in the middle of the body, the connection left open', async () => {
    relay.rules.push({ hang: 1_000 });
    const leaving = new AbortController();
    const response = await get({ signal: leaving.signal });
    await waitFor(() => relay.bodyBytes() === 1_000, { what: 'the first bytes' });
    expect(relay.requests[0]?.state).toBe('open');
    leaving.abort();
    expect((await receive(response)).broken).toBe(true);
  });

  it('holds the headers at a gate', async () => {
    const gate = createGate();
    relay.rules.push({ gate });
    const waiting = get();
    await waitFor(() => gate.arrived === 1, { what: 'the request at the gate' });
    expect(relay.requests[0]?.status).toBe(0);
    gate.open();
    expect(digestOf((await receive(await waiting)).bytes)).toBe(content.digest);
  });

  it('holds the body at a gate', async () => {
    const holdGate = createGate();
    relay.rules.push({ holdAfter: 500_000, holdGate });
    const response = await get();
    await waitFor(() => holdGate.arrived === 1, { what: 'the body at the gate' });
    expect(relay.bodyBytes()).toBe(500_000);
    holdGate.open();
    expect(digestOf((await receive(response)).bytes)).toBe(content.digest);
  });

  it('sends a body without its length', async () => {
    relay.rules.push({ chunked: true });
    const response = await get();
    expect(response.headers.get('content-length')).toBeNull();
    expect(digestOf((await receive(response)).bytes)).toBe(content.digest);
  });

  it('ignores Range', async () => {
    relay.rules.push({ ignoreRange: true });
    const response = await get({ headers: { range: 'bytes=10-19' } });
    expect(response.status).toBe(200);
    expect((await receive(response)).bytes).toHaveLength(1_000_000);
  });

  it('drops and sets headers', async () => {
    relay.rules.push({
      dropHeaders: ['Docker-Content-Digest'],
      setHeaders: { etag: 'other', 'x-accel-redirect': '/etc' },
    });
    const { headers, body } = await get({ method: 'HEAD' });
    await body?.cancel();
    expect(headers.get('docker-content-digest')).toBeNull();
    expect([headers.get('etag'), headers.get('x-accel-redirect')]).toEqual(['other', '/etc']);
  });
});

describe('down and up', () => {
  it('cuts what is open, refuses what comes, and serves again on the same port', async () => {
    relay.rules.push({ hang: 1_000, times: 1 });
    const open = await get();
    await relay.down();
    expect((await receive(open)).broken).toBe(true);
    await expect(get()).rejects.toHaveProperty('cause.code', 'ECONNREFUSED');
    await relay.up();
    expect(digestOf((await receive(await get())).bytes)).toBe(content.digest);
  });
});
