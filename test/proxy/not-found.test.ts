// A 404 counts only with a registry's errors, from something whose /v2/ is a registry: all else is "not known".
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../support/content.ts';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import type { RelayRule } from '../support/relay-rule.ts';
import { calm, pushToBoth } from './local-copy.ts';
import { answering, notPing, ociError } from './trouble.ts';

let site: ProxySite;
const pushed = image('not found');
const json = { 'content-type': 'application/json' };

beforeAll(async () => {
  site = await startProxySite();
  await pushToBoth(site, 'gone/here', 'v1', pushed);
});
afterEach(() => calm(site));
afterAll(() => site.close());

const page = (status: number, type: string, body: string): RelayRule => ({
  answer: { status, headers: { 'content-type': type }, body },
});

// None of these says that something does not exist.
const noAnswers: [what: string, rules: RelayRule[]][] = [
  ['a default back-end in HTML', [{ ...page(404, 'text/html', '<h1>Not Found</h1>'), match: notPing }]],
  ['a default back-end in plain text', [{ ...page(404, 'text/plain', 'default backend - 404'), match: notPing }]],
  ['a 404 without a type', [{ answer: { status: 404 }, match: notPing }]],
  ['a gateway’s own JSON', [{ ...page(404, 'application/json', '{"message":"no Route matched"}'), match: notPing }]],
  ['JSON that is none', [{ ...page(404, 'application/json', '{"errors":'), match: notPing }]],
  ['OCI JSON of another kind', [answering(404, 'BLOB_UPLOAD_UNKNOWN', { match: notPing })]],
  ['a registry’s own trouble', [answering(404, 'UNKNOWN', { match: notPing })]],
  ['a registry’s other trouble', [answering(404, 'Internal Server Error', { match: notPing })]],
  ['missing credentials', [answering(404, 'UNAUTHORIZED', { match: notPing })]],
  ['a refusal', [answering(404, 'DENIED', { match: notPing })]],
  ['a limit', [answering(404, 'TOO_MANY_REQUESTS', { match: notPing })]],
  ['a request that is not taken', [answering(404, 'NAME_INVALID', { match: notPing })]],
  ['an endpoint that is not there', [answering(404, 'UNSUPPORTED', { match: notPing })]],
  ['a number for a code', [answering(404, '404', { match: notPing })]],
  ['errors without codes', [{ ...page(404, 'application/json', '{"errors":[{"status":404}]}'), match: notPing }]],
  ['no errors', [{ ...page(404, 'application/json', '{"errors":[]}'), match: notPing }]],
  ['errors that are no list', [{ ...page(404, 'application/json', '{"errors":"MANIFEST_UNKNOWN"}'), match: notPing }]],
  ['a maintenance page for everything', [page(404, 'text/html', '<h1>Back soon</h1>')]],
  ['a maintenance page with 200 for everything', [page(200, 'text/html', '<h1>Back soon</h1>')]],
];

describe.each(noAnswers)('%s', (what, rules) => {
  async function ask(path: string, method: 'GET' | 'HEAD' = 'GET') {
    site.relay.rules.push(...rules.map((rule) => ({ ...rule })));
    return site.ask(path, { method });
  }

  test('leaves the local copy of a tag standing', async () => {
    const answer = await ask('gone/here/manifests/v1');
    expect(answer.status).toBe(200);
    expect(answer.headers['warning']).toContain('unavailable');
  });

  test('does not make a manifest or a blob unknown', async () => {
    const digest = digestOf(what);
    for (const path of [`gone/here/manifests/${digest}`, `gone/here/blobs/${digest}`]) {
      expect(await ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
      site.relay.rules.length = 0;
    }
  });

  test('does not empty a list', async () => {
    const answer = await ask('gone/here/tags/list');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString())).toEqual({ name: 'gone/here', tags: ['v1'] });
    expect(answer.headers['warning']).toContain('299');
  });
});

test.each(['application/json', 'application/json; charset=utf-8', 'application/problem+json'])(
  'HEAD 404 of a registry for a blob, bodiless as %s, counts',
  async (type) => {
    site.relay.rules.push({
      match: (request) => request.method === 'HEAD' && notPing(request),
      answer: { status: 404, headers: { 'content-type': type } },
    });
    const head = await site.ask(`gone/here/blobs/${digestOf(type)}`, { method: 'HEAD' });
    expect(head.status).toBe(404);
  },
);

test('HEAD 404 for a manifest is settled by GET', async () => {
  site.relay.rules.push({ match: ({ method }) => method === 'HEAD', answer: { status: 404 } });
  expect((await site.ask('gone/here/manifests/v1')).headers['docker-content-digest']).toBe(pushed.digest);
  site.relay.rules.push({ ...answering(404, 'MANIFEST_UNKNOWN'), match: ({ path }) => path.includes('/manifests/') });
  expect((await site.ask('gone/here/manifests/v1')).status).toBe(404);
});

test.each(['MANIFEST_UNKNOWN', 'NAME_UNKNOWN'])('the primary’s own code, %s, is passed on', async (code) => {
  site.relay.rules.push(answering(404, code, { match: (request) => notPing(request) && request.method === 'GET' }));
  const answer = await site.ask(`gone/here/manifests/${digestOf(code)}`);
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 404, code });
});

describe.each(['NOT_FOUND', 'NOTFOUND', 'TAG_EXPIRED', 'PROJECT_UNKNOWN', 'manifest not found'])(
  'a registry’s own word for it, %s,',
  (code) => {
    test.each([
      ['a tag', 'gone/here/manifests/v1', 'MANIFEST_UNKNOWN'],
      ['a manifest', `gone/here/manifests/${digestOf(code)}`, 'MANIFEST_UNKNOWN'],
      ['a blob', `gone/here/blobs/${digestOf(code)}`, 'BLOB_UNKNOWN'],
      ['the tags', 'gone/here/tags/list', 'NAME_UNKNOWN'],
      ['the referrers', `gone/here/referrers/${digestOf(code)}`, 'NAME_UNKNOWN'],
    ])('is 404 for %s, in the specification’s', async (_what, path, expected) => {
      site.relay.rules.push(answering(404, code, { match: notPing }));
      expect(await site.ask(path)).toMatchObject({ status: 404, code: expected });
    });
  },
);

test('a registry’s own word from something whose /v2/ is no registry does not count', async () => {
  await site.restart();
  site.relay.rules.push(answering(404, 'NOT_FOUND', { match: notPing }), page(404, 'text/plain', '404 page not found'));
  expect((await site.ask('gone/here/manifests/v1')).headers['warning']).toContain('unavailable');
});

test('a list that has trouble with 404 is not one that the registry does not have', async () => {
  const path = `gone/here/referrers/${pushed.digest}`;
  for (const code of ['DENIED', 'UNKNOWN']) {
    site.relay.rules.push(answering(404, code, { match: notPing }));
    expect(await site.ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
    site.relay.rules.length = 0;
  }
  site.relay.rules.push(answering(404, 'UNSUPPORTED', { match: notPing }));
  expect(await site.ask(path)).toMatchObject({ status: 404, code: 'UNSUPPORTED' });
});

test('the specification’s words from something whose /v2/ is no registry do not count', async () => {
  // What it said of itself before is believed for a few seconds: a proxy of its own has heard nothing yet.
  await site.restart();
  site.relay.rules.push(
    answering(404, 'MANIFEST_UNKNOWN', { match: notPing }),
    page(404, 'text/plain', '404 page not found'),
  );
  const answer = await site.ask(`gone/here/manifests/${digestOf('no registry')}`);
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 503, code: 'UNAVAILABLE' });
});

test('a 400 in the specification’s words is passed on, another is not', async () => {
  const path = `gone/here/manifests/${digestOf('bad')}`;
  site.relay.rules.push(answering(400, 'DIGEST_INVALID', { match: notPing }));
  expect(await site.ask(path)).toMatchObject({ status: 400, code: 'DIGEST_INVALID' });
  site.relay.rules.length = 0;
  site.relay.rules.push({ ...page(400, 'text/html', '<h1>Bad'), match: notPing });
  expect(await site.ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
});

test('a 400 in a registry’s own words is a 400, but for its own trouble', async () => {
  const path = 'gone/here/tags/list?n=5000';
  site.relay.rules.push(answering(400, 'BAD_REQUEST', { match: notPing }));
  expect(await site.ask(path)).toMatchObject({ status: 400, code: 'UNSUPPORTED' });
  site.relay.rules.length = 0;
  site.relay.rules.push(answering(400, 'UNKNOWN', { match: notPing }));
  expect((await site.ask(path)).headers['warning']).toContain('unavailable');
});

describe.each([401, 403])('a %i', (status) => {
  const path = `gone/here/blobs/${digestOf('refused')}`;
  test.each<[what: string, rule: RelayRule]>([
    ['a firewall’s page', page(status, 'text/html; charset=utf-8', '<h1>Request blocked</h1>')],
    ['a firewall’s text', page(status, 'text/plain', 'blocked by policy')],
    ['a gateway’s own JSON', page(status, 'application/json', '{"message":"Forbidden"}')],
    ['a storage’s XML', page(status, 'application/xml', '<Error><Code>AccessDenied</Code></Error>')],
    ['nothing at all', { answer: { status } }],
  ])('that is %s is no registry’s', async (_what, rule) => {
    site.relay.rules.push({ ...rule, match: notPing });
    expect(await site.ask(path)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  });

  test.each<[what: string, rule: RelayRule]>([
    ['in the specification’s words', answering(status, 'DENIED')],
    ['in a registry’s own words', answering(status, 'FORBIDDEN')],
    [
      'with a registry’s header and no body',
      { answer: { status, headers: { 'docker-distribution-api-version': 'registry/2.0' } } },
    ],
    [
      'with a challenge and a page',
      {
        answer: {
          status,
          headers: { 'www-authenticate': 'Basic realm="x"', 'content-type': 'text/html' },
          body: '<h1>',
        },
      },
    ],
  ])('%s is', async (_what, rule) => {
    site.relay.rules.push({ ...rule, match: notPing });
    expect(await site.ask(path)).toMatchObject({ status: 403, code: 'DENIED' });
  });

  test('to a HEAD, which has no body, is unless it is a page', async () => {
    for (const [type, reason] of [
      ['', 'refused'],
      ['text/html', 'unavailable'],
    ]) {
      const headers = type === '' ? {} : { 'content-type': type! };
      site.relay.rules.push({ answer: { status, headers }, match: ({ method }) => method === 'HEAD' });
      expect((await site.ask('gone/here/manifests/v1')).headers['warning']).toContain(reason);
      site.relay.rules.length = 0;
    }
  });
});

test('an error’s body that never ends is waited for no longer than needed', async () => {
  site.relay.rules.push({ match: notPing, hang: 3 });
  const answer = await site.ask(`gone/here/blobs/${digestOf('endless')}`);
  expect({ status: answer.status, code: answer.code }).toEqual({ status: 503, code: 'UNAVAILABLE' });
});

test('what an error says beside its code goes no further', async () => {
  const body = ociError('MANIFEST_UNKNOWN').replace('says the relay', 'internal host db-1.example.com');
  site.relay.rules.push({ match: notPing, answer: { status: 404, headers: { ...json, 'x-internal': '1' }, body } });
  const answer = await site.ask(`gone/here/manifests/${digestOf('secret')}`);
  expect(answer.status).toBe(404);
  expect(answer.body.toString()).not.toContain('db-1');
  expect(answer.headers['x-internal']).toBeUndefined();
});

test('a layer’s digest is no manifest’s, whatever the registries answer to it', async () => {
  const { digest } = pushed.blobs[1]!;
  expect(await site.ask(`gone/here/manifests/${digest}`)).toMatchObject({ status: 404, code: 'MANIFEST_UNKNOWN' });
  // Distribution's own answer is a 500, which alone says nothing.
  const unknown = `gone/here/manifests/${digestOf('neither')}`;
  site.relay.rules.push(answering(500, 'UNKNOWN', { match: ({ path }) => path.includes('/manifests/') }));
  expect(await site.ask(unknown)).toMatchObject({ status: 503 });
});
