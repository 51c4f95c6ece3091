// The webhook's token: compared whole, before anything of the body is there.
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { WEBHOOK_PATH } from '../../src/replication/webhook.ts';
import { waitFor } from '../support/tool.ts';
import { pushOf, Rows, startWebhook, token } from './webhook-rig.ts';

interface Conversation {
  /** All that came so far. */
  readonly received: string;
  send(text: string): void;
  /** Resolves when this was received. */
  until(text: string): Promise<void>;
  /** Resolves with all that came when the other side has ended the connection. */
  untilClosed(): Promise<string>;
}

/** Sends the head of a request, whose body is announced. */
function announce(origin: string, headers: Record<string, string>, length: number): Conversation {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  let received = '';
  const came = new EventTarget();
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
    came.dispatchEvent(new Event('data'));
  });
  const closed = new Promise<void>((settle) => socket.once('close', () => settle()));
  const lines = Object.entries({ Host: hostname, 'Content-Length': String(length), ...headers });
  socket.write(
    `POST ${WEBHOOK_PATH} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  );
  return {
    get received() {
      return received;
    },
    send: (text) => void socket.write(text),
    until: (text) =>
      new Promise((settle) => {
        const look = (): void => {
          if (received.includes(text)) settle();
        };
        came.addEventListener('data', look);
        look();
      }),
    async untilClosed() {
      await closed;
      return received;
    },
  };
}

test.each<[string, Record<string, string>]>([
  ['none', {}],
  ['an empty one', { Authorization: '' }],
  ['a prefix', { Authorization: token.slice(0, -1) }],
  ['more than it', { Authorization: `${token}x` }],
  ['another', { Authorization: 'another secret' }],
  ['one of another case', { Authorization: token.toUpperCase() }],
  ['a scheme before it', { Authorization: `Bearer ${token}` }],
  ['both tokens in one', { Authorization: `${token},next secret` }],
  ['the token in another header', { 'X-Authorization': token }],
])('%s is refused before the body is sent', async (_, headers) => {
  const { rows, origin, counted } = await startWebhook({ rows: new Rows(), tokens: [token, 'next secret'] });
  const [head, body] = (await announce(origin, headers, 1_000).untilClosed()).split('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 401 /);
  expect(head).toMatch(/^connection: close$/im);
  expect(head).toMatch(/^content-type: application\/json/im);
  expect(JSON.parse(body!)).toEqual({ error: 'wrong or missing Authorization' });
  expect(rows.calls).toEqual([]);
  expect(rows.kept).toEqual([]);
  expect(counted).toEqual({ 'event_requests_total refused': 1 });
});

test('while a token is replaced both are taken', async () => {
  const { rows, send } = await startWebhook({ rows: new Rows(), tokens: [token, 'next secret'] });
  expect((await send(pushOf('v1'))).status).toBe(200);
  expect((await send(pushOf('v2'), { authorization: 'next secret' })).status).toBe(200);
  expect((await send(pushOf('v3'), { authorization: 'old secret' })).status).toBe(401);
  expect(rows.marks).toEqual(['group/project v1', 'group/project v2']);
});

test.each([[[]], [['']]])('with the tokens %j nothing is taken', async (tokens) => {
  const { send, url } = await startWebhook({ rows: new Rows(), tokens });
  expect((await send(pushOf('v1'))).status).toBe(401);
  expect((await send(pushOf('v1'), { authorization: '' })).status).toBe(401);
  expect((await fetch(url, { method: 'POST' })).status).toBe(401);
});

test('a token may have any characters', async () => {
  const secret = 'Geheimnis äöü €';
  const { rows, send } = await startWebhook({ rows: new Rows(), tokens: [secret] });
  // Go sends a header's bytes as they are.
  const authorization = Buffer.from(secret).toString('latin1');
  expect((await send(pushOf('v1'), { authorization })).status).toBe(200);
  expect(rows.marks).toEqual(['group/project v1']);
});

test('with the right token a sender that asks whether to go on is told so', async () => {
  const { rows, origin } = await startWebhook({ rows: new Rows() });
  const body = JSON.stringify(pushOf('v1'));
  const headers = { Authorization: token, Expect: '100-continue', Connection: 'close' };
  const conversation = announce(origin, headers, body.length);
  await conversation.until('HTTP/1.1 100 Continue\r\n\r\n');
  expect(rows.calls).toEqual([]);
  conversation.send(body);
  expect(await conversation.untilClosed()).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  expect(rows.marks).toEqual(['group/project v1']);
});

test('with a wrong token it is not', async () => {
  const { origin } = await startWebhook({ rows: new Rows() });
  const conversation = announce(origin, { Authorization: 'wrong', Expect: '100-continue' }, 1_000);
  expect(await conversation.untilClosed()).toMatch(/^HTTP\/1\.1 401 /);
});

test('a body that breaks off marks nothing, and harms nobody', async () => {
  const { rows, send, origin, counted } = await startWebhook({ rows: new Rows() });
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  const head = `POST ${WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: ${token}\r\nContent-Length: 1000\r\n\r\n`;
  await new Promise<void>((settle) => socket.write(head + JSON.stringify(pushOf('v1')), () => settle()));
  socket.destroy();
  await waitFor(() => counted['event_requests_total broken-off'] === 1, { what: 'the end of the connection' });
  expect((await send(pushOf('v2'))).status).toBe(200);
  expect(rows.marks).toEqual(['group/project v2']);
});
