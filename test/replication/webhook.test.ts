// The webhook: answered when it is on disk, and never refused for what it says.
import { Readable } from 'node:stream';
import { Client } from 'undici';
import { expect, test } from 'vitest';
import { StoreUnavailable } from '../../src/replication/rows.ts';
import { now, pushOf, Rows, startWebhook, token } from './webhook-rig.ts';
import { waitFor } from '../support/tool.ts';

const MiB = 1024 * 1024;

async function* halfOf(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(60 * 1024, ' ');
  throw new Error('gone');
}

test.each([
  'application/vnd.docker.distribution.events.v1+json',
  'application/vnd.docker.distribution.events.v2+json',
  'application/vnd.docker.distribution.events.v2+json; charset=utf-8',
  'application/json',
  'application/json; charset=utf-8',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'nonsense',
  ';;;',
])('events are taken with the content type %s', async (contentType) => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  const answer = await send(pushOf('v1'), { 'content-type': contentType });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(await answer.json()).toEqual({});
  expect(rows.marks).toEqual(['group/project v1']);
});

test("zot's events are taken, which have their type in a header", async () => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  const digest = `sha256:${'a'.repeat(64)}`;
  // As zot 2.1 sends them: CloudEvents in binary mode.
  const zot = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': 'zotregistry.dev' };
  const data = { name: 'group/app', digest, mediaType: 'application/vnd.oci.image.manifest.v1+json' };
  for (const [type, reference] of [
    ['zotregistry.image.updated', 'v1'],
    ['zotregistry.image.updated', digest],
    ['zotregistry.image.deleted', 'v2'],
    ['zotregistry.image.deleted', digest],
    ['zotregistry.repository.created', undefined],
  ] as const) {
    const answer = await send({ ...data, reference, manifest: '{}' }, { ...zot, 'ce-type': type });
    expect(answer.status).toBe(200);
  }
  expect(rows.marks).toEqual(['group/app v1', `group/app ${digest}`, 'group/app v2', 'group/app *']);
  expect(rows.kept).toEqual([]);
});

test('events are taken without a content type', async () => {
  const { rows, url } = await startWebhook({ rows: new Rows() });
  const body = Buffer.from(JSON.stringify(pushOf('v1')));
  const answer = await fetch(url, { method: 'POST', headers: { authorization: token }, body });
  expect(answer.status).toBe(200);
  expect(rows.marks).toEqual(['group/project v1']);
});

test('marks have the priority of events and the time of their arrival, and wake the workers', async () => {
  const rig = await startWebhook({ rows: new Rows() });
  await rig.send(pushOf('v1'));
  await rig.send({ events: [{ action: 'delete', target: { repository: 'group/project', tag: 'v1' } }] });
  const mark = { repository: 'group/project', reference: 'v1', priority: 1, eventAt: now };
  expect(rig.rows.calls).toEqual([[{ ...mark, isPush: true }], [mark]]);
  expect(rig.woken).toBe(2);
});

test('what comes to nothing wakes nobody', async () => {
  const rig = await startWebhook({ rows: new Rows(), isReplicated: () => false });
  expect((await rig.send(pushOf('v1'))).status).toBe(200);
  expect((await rig.send({ events: [{ action: 'pull' }] })).status).toBe(200);
  expect(rig.rows.calls).toEqual([]);
  expect(rig.woken).toBe(0);
});

test('several events of one body are committed together', async () => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  await send({ events: [...pushOf('v1').events, ...pushOf('v2').events, ...pushOf('v1', 'other').events] });
  expect(rows.calls).toHaveLength(1);
  expect(rows.marks).toEqual(['group/project v1', 'group/project v2', 'other v1']);
});

test('very many marks leave room for other calls between them', async () => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  const tags = Array.from({ length: 1_200 }, (_, index) => `v${index}`);
  await send({ events: tags.flatMap((tag) => pushOf(tag).events) });
  expect(rows.calls.map((marks) => marks.length)).toEqual([500, 500, 200]);
  expect(rows.marks).toEqual(tags.map((tag) => `group/project ${tag}`));
});

test('a rename marks what is known below the old name by both names, as far as it is replicated', async () => {
  const rows = new Rows();
  rows.known = ['group/old/app', 'group/old/secret', 'group/other'];
  const { send } = await startWebhook({ rows, isReplicated: (name) => !name.endsWith('/secret') });
  const rename = { type: 'name', from: 'group/old', to: 'group/new' };
  await send({ events: [{ action: 'rename', target: { repository: 'group/old', rename } }] });
  expect(rows.marks).toEqual(['group/old *', 'group/new *', 'group/old/app *', 'group/new/app *']);
});

test('a body of 8 MiB is read', async () => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  const body = Buffer.alloc(8 * MiB, ' ');
  body.write(JSON.stringify(pushOf('v1')));
  expect((await send(body)).status).toBe(200);
  expect(rows.marks).toEqual(['group/project v1']);
});

test('a larger body is answered with success, counted, and its beginning kept', async () => {
  const { rows, send, counted } = await startWebhook({ rows: new Rows() });
  const body = Buffer.alloc(8 * MiB + 1, ' ');
  body.write(JSON.stringify(pushOf('v1')));
  expect((await send(body)).status).toBe(200);
  expect(rows.marks).toEqual([]);
  expect(rows.kept).toEqual([
    { at: now, reason: 'the body is larger than 8388608 bytes', body: body.toString('utf8', 0, 65_536) },
  ]);
  expect(counted).toEqual({ 'event_requests_total stored': 1, 'events_total malformed': 1 });
});

test('bodies that are more together than may be held have to be sent again, and those after them are taken', async () => {
  const { rows, send, counted } = await startWebhook({ rows: new Rows(), heldMax: 64 * 1024 });
  const body = Buffer.alloc(64 * 1024 + 1, ' ');
  body.write(JSON.stringify(pushOf('v1')));
  const refused = await send(body);
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await send(body.subarray(0, 64 * 1024))).status).toBe(200);
  // What a body held is free again, whatever became of it.
  expect((await send('oops')).status).toBe(200);
  expect((await send(body.subarray(0, 64 * 1024))).status).toBe(200);
  expect(rows.marks).toEqual(['group/project v1', 'group/project v1']);
  expect(counted['event_requests_total unstored']).toBe(1);
});

test('a body that broke off holds nothing', async () => {
  const { origin, url, send, counted } = await startWebhook({ rows: new Rows(), heldMax: 64 * 1024 });
  const client = new Client(origin);
  const headers = { authorization: token };
  const broken = client.request({
    path: new URL(url).pathname,
    method: 'POST',
    headers,
    body: Readable.from(halfOf()),
  });
  await expect(broken).rejects.toThrow('gone');
  await client.close();
  await waitFor(() => counted['event_requests_total broken-off'] === 1, { what: 'the end of the body' });
  expect((await send(Buffer.alloc(64 * 1024, ' '))).status).toBe(200);
});

test('while a body of very many events is read, another one is answered', async () => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  const events = Array.from({ length: 5_000 }, (_, at) => pushOf(`v${at}`).events[0]);
  const order: string[] = [];
  const held = Promise.withResolvers<void>();
  rows.beforeMark = () => (order.length === 0 ? held.promise : undefined);
  const large = send({ events }).then((answer) => order.push(`large ${answer.status}`));
  await waitFor(() => rows.waiting === 1, { what: 'the marks of the large body' });
  order.push('other');
  expect((await send(pushOf('w1', 'other'))).status).toBe(200);
  held.resolve();
  await large;
  expect(order).toEqual(['other', 'large 200']);
  expect(rows.marks).toHaveLength(5_001);
});

test('a body that is no JSON is kept and answered with success', async () => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  const answer = await send('{"events": oops', { 'content-type': 'application/json' });
  expect(answer.status).toBe(200);
  expect(rows.kept).toEqual([{ at: now, reason: 'the body is no JSON', body: '{"events": oops' }]);
});

test('a request without a body is answered with success', async () => {
  const { rows, url } = await startWebhook({ rows: new Rows() });
  const answer = await fetch(url, { method: 'POST', headers: { authorization: token } });
  expect(answer.status).toBe(200);
  expect(rows.kept).toEqual([{ at: now, reason: 'the body is no JSON', body: '' }]);
});

test('what each event came to is counted', async () => {
  const { send, counted } = await startWebhook({ rows: new Rows(), isReplicated: (name) => name !== 'private' });
  const events = [...pushOf('v1').events, ...pushOf('v1').events, ...pushOf('v1', 'private').events];
  await send({ events: [...events, { action: 'pull' }, null] });
  await send(pushOf('v2'), { authorization: 'wrong' });
  expect(counted).toEqual({
    'events_total marked': 2,
    'events_total not-replicated': 1,
    'events_total ignored': 1,
    'events_total malformed': 1,
    'event_requests_total stored': 1,
    'event_requests_total refused': 1,
  });
});

test('the answer waits for the commit', async () => {
  const begun = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const rig = await startWebhook({ rows: new Rows() });
  rig.rows.beforeMark = () => {
    begun.resolve();
    return held.promise;
  };
  let status = 0;
  const answer = rig.send(pushOf('v1')).then((response) => (status = response.status));
  await begun.promise;
  // A whole round trip of another request later there is still no answer.
  expect((await rig.send({ events: [] })).status).toBe(200);
  expect(status).toBe(0);
  expect(rig.woken).toBe(0);
  held.resolve();
  await answer;
  expect(status).toBe(200);
  expect(rig.woken).toBe(1);
});

test.each([new StoreUnavailable('disk full'), new Error('anything else')])(
  'what cannot be stored (%s) has to be sent again',
  async (failure) => {
    const rig = await startWebhook({ rows: new Rows() });
    rig.rows.beforeMark = () => {
      throw failure;
    };
    const answer = await rig.send(pushOf('v1'));
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await answer.json()).toEqual({ error: 'events cannot be stored now' });
    expect(rig.woken).toBe(0);
    expect(rig.counted).toEqual({ 'event_requests_total unstored': 1 });
  },
);

test('a malformed event that cannot be kept now has to be sent again', async () => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  rows.beforeKeep = () => {
    throw new StoreUnavailable('disk full');
  };
  expect((await send('oops')).status).toBe(503);
});

test('a malformed event that can never be kept blocks nothing', async () => {
  const { rows, send } = await startWebhook({ rows: new Rows() });
  rows.beforeKeep = () => {
    throw new Error('not storable');
  };
  expect((await send({ events: [null, ...pushOf('v1').events] })).status).toBe(200);
  expect(rows.marks).toEqual(['group/project v1']);
});

test('the connection is used again, also after a larger body', async () => {
  const { url, rows } = await startWebhook({ rows: new Rows() });
  const client = new Client(new URL(url).origin);
  try {
    const path = new URL(url).pathname;
    for (const body of [Buffer.alloc(9 * MiB, ' '), Buffer.from(JSON.stringify(pushOf('v1')))]) {
      const answer = await client.request({ path, method: 'POST', headers: { authorization: token }, body });
      expect(answer.statusCode).toBe(200);
      expect(answer.headers['connection']).toBe('keep-alive');
      await answer.body.dump();
    }
    expect(rows.marks).toEqual(['group/project v1']);
  } finally {
    await client.close();
  }
});

test('nothing but POST is there', async () => {
  const { url } = await startWebhook({ rows: new Rows() });
  const statuses = ['GET', 'HEAD', 'PUT', 'DELETE'].map(async (method) => {
    const answer = await fetch(url, { method, headers: { authorization: token } });
    return answer.status;
  });
  expect(await Promise.all(statuses)).toEqual([404, 404, 404, 404]);
});
