// Connections as no good client uses them: whatever comes over one, the answers keep their order and the next is served.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import type { RelayMatch } from '../support/relay.ts';
import { createGate } from '../support/relay-rule.ts';
import { waitFor } from '../support/tool.ts';
import { bodyOf } from '../fill/download.ts';
import { pushToBoth } from './local-copy.ts';
import { dial, readToEnd, send, type WireAnswer } from './wire.ts';

let site: ProxySite;
const name = 'connection/images';
const pushed = image('connection');
const layer = blob(400_000, 'connection layer');

beforeAll(async () => {
  site = await startProxySite();
  await pushToBoth(site, name, 'v1', pushed);
  await pushBlob(site.primaryTarget(name), layer);
});
afterEach(async () => {
  // Whatever was sent: the process is there, and a plain request is answered.
  expect((await get(`/v2/${name}/manifests/v1`)).headers['docker-content-digest']).toBe(pushed.digest);
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

const authorization = (): string => `authorization: Bearer ${site.pullToken(name)}\r\n`;
const line = (request: string, more = ''): string => `${request} HTTP/1.1\r\nhost: x\r\n${authorization()}${more}\r\n`;

function get(path: string): Promise<WireAnswer> {
  return send(site.proxy.url, `GET ${path}`, { authorization: `Bearer ${site.pullToken(name)}` });
}

async function opened(): Promise<Socket> {
  const socket = await dial(site.proxy.url);
  onTestFinished(() => void socket.destroy());
  return socket;
}

interface Exchange {
  /** All that came, without the goodbye's answer. */
  readonly text: string;
  readonly statuses: number[];
  /** Whether the connection was still good for another request. */
  readonly isOpen: boolean;
}

const goodbye = 'GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';

/** Sends bytes, and a last request after them that ends the connection if they did not; gives what came. */
async function exchange(bytes: string, last = goodbye): Promise<Exchange> {
  const socket = await opened();
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
  socket.write(bytes + last, 'latin1');
  await ended;
  const all = Buffer.concat(chunks).toString('latin1');
  const isOpen = all.endsWith('\r\n\r\nok\n');
  const text = isOpen ? all.slice(0, all.lastIndexOf('HTTP/1.1 200 ')) : all;
  return { text, statuses: statusesOf(text), isOpen };
}

function statusesOf(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

describe('several requests at once on one connection', () => {
  test('are answered each, in their order', async () => {
    const path = `/v2/${name}`;
    const { text, statuses, isOpen } = await exchange(
      [
        line('GET /v2/'),
        line(`HEAD ${path}/manifests/v1`),
        line(`GET ${path}/manifests/unknown`),
        line(`GET ${path}/manifests/${pushed.digest}`),
        line('DELETE /v2/x'),
        line(`GET ${path}/blobs/${pushed.blobs[0]!.digest}`),
      ].join(''),
    );
    expect(statuses).toEqual([200, 200, 404, 200, 405, 200]);
    expect(isOpen).toBe(true);
    expect(text).toContain(pushed.bytes.toString('latin1'));
  });

  test('are a hundred', async () => {
    const { statuses } = await exchange(line(`GET /v2/${name}/manifests/v1`).repeat(100));
    expect(statuses).toEqual(Array(100).fill(200));
  });

  test('end with a push that has a body: what comes after it is not looked at', async () => {
    const push = `PUT /v2/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}`;
    expect(await exchange(push + line('GET /v2/'))).toMatchObject({ statuses: [405], isOpen: false });
  });

  test('are not what a body holds', async () => {
    const inside = line('GET /v2/');
    const asked = line('GET /v2/', `content-length: ${inside.length}\r\n`) + inside;
    expect(await exchange(asked)).toMatchObject({ statuses: [200], isOpen: true });
  });
});

describe('HTTP/1.0', () => {
  test('is answered with a length, and the connection ends', async () => {
    const { text } = await exchange(`GET /v2/${name}/blobs/${layer.digest} HTTP/1.0\r\n${authorization()}\r\n`, '');
    const [head = '', body] = text.split('\r\n\r\n', 2);
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    expect(head).toMatch(/content-length: 400000/);
    expect(head).toMatch(/connection: close/i);
    expect(head).not.toMatch(/transfer-encoding/i);
    expect(body).toBe(layer.bytes.toString('latin1').split('\r\n\r\n', 1)[0]);
    expect(text.length).toBe(head.length + 4 + layer.size);
  });

  test('is told about pushes, too', async () => {
    const { text } = await exchange('POST /v2/x/blobs/uploads/ HTTP/1.0\r\n\r\n', '');
    expect(text).toMatch(/^HTTP\/1\.1 405 [^]*"UNSUPPORTED"/);
  });
});

const isOther: RelayMatch = ({ path }) => !path.includes(name);

describe('targets of other forms', () => {
  test.each([
    ['GET http://registry.example.com/v2/', 200],
    [`GET HTTPS://registry.example.com:5050/v2/${name}/manifests/v1`, 200],
    [`HEAD http://registry.example.com/v2/${name}/blobs/${layer.digest}`, 200],
    ['GET http://registry.example.com', 404],
    ['POST http://registry.example.com/v2/a/b/blobs/uploads/', 405],
  ])('%s is the whole URL of what is asked for', async (request, status) => {
    expect((await exchange(line(request))).statuses).toEqual([status]);
  });

  test.each([
    'GET ftp://registry.example.com/v2/',
    'GET http:/v2/',
    'OPTIONS *',
    'GET v2/',
    'GET ?',
    'GET /v2/#fragment',
    'GET /v2;/x',
    'FOO /v2/x',
    'get /v2/x',
    'GET /v2/%zz',
    'GET /v2/ x',
  ])('%s is a 4xx, and leads nowhere', async (request) => {
    const { statuses, text } = await exchange(line(request));
    expect([[400], [404]]).toContainEqual(statuses);
    expect(text).not.toContain('docker-content-digest');
    expect(site.relay.count(isOther) + site.localRelay.count(isOther)).toBe(0);
  });

  test.each(['CONNECT registry.example.com:443', 'CONNECT /v2/'])('%s opens no tunnel', async (request) => {
    expect(await exchange(line(request))).toMatchObject({ isOpen: false });
  });

  test('a query of 10,000 characters is read over', async () => {
    expect((await get(`/v2/${name}/manifests/v1?${'q'.repeat(10_000)}`)).status).toBe(200);
  });
});

describe('requests that do not wait for answers', () => {
  test('some are answered in their order', async () => {
    const { statuses } = await exchange(line(`GET /v2/${name}/manifests/v1`).repeat(20));
    expect(statuses).toEqual(Array.from({ length: 20 }, () => 200));
  });

  test('hundreds end their connection, and nobody else’s', async () => {
    const gate = createGate();
    onTestFinished(() => gate.open());
    site.relay.rules.push({ match: ({ method, path }) => method === 'HEAD' && path.includes(`/${name}/`), gate });
    const socket = await opened();
    socket.write(line(`GET /v2/${name}/manifests/v1`).repeat(300));
    const closed = new Promise((settle) => socket.on('error', () => undefined).once('close', settle));
    socket.resume();
    await closed;
    gate.open();
  });
});

describe('odd requests', () => {
  test.each([
    ['GET /v2/', 'websocket', 200],
    ['GET /v2/', 'h2c', 200],
    ['POST /v2/x/blobs/uploads/', 'h2c', 405],
  ])(
    '%s that would rather speak %s gets what it asked for, and so does the next',
    async (request, protocol, status) => {
      const socket = await opened();
      socket.write(line(request, `connection: upgrade\r\nupgrade: ${protocol}\r\n`));
      const [first] = (await once(socket, 'data')) as [Buffer];
      expect(statusesOf(first.toString())).toEqual([status]);
      socket.write(goodbye);
      expect(await readToEnd(socket)).toMatchObject({ status: 200, body: 'ok\n' });
    },
  );

  test('that ask whether they may read are answered at once', async () => {
    for (const more of ['expect: 100-continue\r\n', 'expect: miracles\r\n']) {
      expect(await exchange(line('GET /v2/', more))).toMatchObject({ statuses: [200] });
    }
  });

  test('with a body to read are answered as without', async () => {
    for (const type of ['application/json', 'text/plain', 'nonsense']) {
      const body = `content-type: ${type}\r\ncontent-length: 5\r\n\r\n{"hel`;
      const asked = line('GET /v2/', body).slice(0, -2);
      expect(await exchange(asked)).toMatchObject({ statuses: [200], isOpen: true });
    }
    const chunks = 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n';
    expect(await exchange(line('GET /v2/', chunks))).toMatchObject({ statuses: [200], isOpen: true });
  });

  test.each([
    ['thousands of headers', () => Array.from({ length: 5_000 }, (_, nth) => `h${nth}: some value\r\n`).join('')],
    ['one header that is long', () => `x: ${'x'.repeat(70_000)}\r\n`],
    ['a name of a header that is long', () => `${'x'.repeat(70_000)}: x\r\n`],
  ])('with %s are 431', async (_what, more) => {
    const { text, statuses, isOpen } = await exchange(line('GET /v2/', more()));
    expect({ statuses, isOpen }).toEqual({ statuses: [431], isOpen: false });
    expect(JSON.parse(text.split('\r\n\r\n')[1]!)).toMatchObject({ errors: [{ code: 'UNSUPPORTED' }] });
  });

  test('with a long path are 431', async () => {
    expect(await exchange(line(`GET /v2/${'x'.repeat(70_000)}`))).toMatchObject({ statuses: [431] });
  });

  test('without a host are 400', async () => {
    expect(await exchange(`GET /v2/ HTTP/1.1\r\n${authorization()}\r\n`)).toMatchObject({ statuses: [400] });
  });
});

describe('garbage', () => {
  test('right after a good request is 400, and nothing that comes after it is looked at', async () => {
    const { statuses, isOpen } = await exchange(`${line('GET /v2/')}garbage\r\n\r\n`);
    expect({ last: statuses.at(-1), isOpen }).toEqual({ last: 400, isOpen: false });
  });

  test('while an answer is under way ends it, and is never answered inside of it', async () => {
    const holdGate = createGate();
    const other = blob(300_000, 'connection other');
    await pushBlob(site.primaryTarget(name), other);
    site.relay.rules.push({ match: bodyOf(other), holdAfter: 200_000, holdGate });
    const socket = await opened();
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
    socket.write(line(`GET /v2/${name}/blobs/${other.digest}`));
    await waitFor(() => chunks.length > 0, { what: 'the beginning of the answer' });
    socket.write('garbage\r\n\r\n');
    if (!socket.closed) await once(socket, 'close');
    holdGate.open();
    const text = Buffer.concat(chunks).toString('latin1');
    expect(statusesOf(text)).toEqual([200]);
    const body = text.slice(text.indexOf('\r\n\r\n') + 4);
    expect(other.bytes.toString('latin1').startsWith(body)).toBe(true);
  });

  test.each(['G', 'GET /v2/', 'GET /v2/ HTTP/1.1\r\n', '\r\n\r\n\r\n', ''])(
    '"%s" from a client that leaves harms nobody',
    async (bytes) => {
      for (const leave of ['end', 'resetAndDestroy'] as const) {
        const socket = await opened();
        const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
        socket.on('error', () => undefined).resume();
        if (bytes !== '') await new Promise((resolve) => socket.write(bytes, 'latin1', resolve));
        socket[leave]();
        await ended;
      }
    },
  );
});

test('a client that leaves in the middle of its answer is no trouble to the one that comes then', async () => {
  const holdGate = createGate();
  const other = blob(2_000_000, 'connection left');
  await pushBlob(site.primaryTarget(name), other);
  site.relay.rules.push({ match: bodyOf(other), holdAfter: 1_000_000, holdGate });
  for (const leave of ['destroy', 'resetAndDestroy'] as const) {
    const socket = await opened();
    socket.write(line(`GET /v2/${name}/blobs/${other.digest}`));
    await once(socket, 'data');
    socket[leave]();
  }
  holdGate.open();
  const answer = await site.ask(`${name}/blobs/${other.digest}`);
  expect(answer.body.equals(other.bytes)).toBe(true);
  expect(site.relay.bodyBytes(bodyOf(other))).toBe(other.size);
});
