// Headers end at the door, in both directions: a registry cannot speak to nginx or to browsers, nor a client to a registry.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import type { RelayMatch, RelayRequest } from '../support/relay.ts';
import { freePort, waitFor } from '../support/tool.ts';
import { calm, pushToBoth, untilLocal } from './local-copy.ts';
import { answering, notPing } from './trouble.ts';
import { scaled } from '../support/patience.ts';

// What an earlier test began may go on beside it, as the question whether a registry answers.
const forIt: RelayMatch = ({ path }) => path.includes('header/loop');

let site: ProxySite;
const pushed = image('headers');

beforeAll(async () => {
  site = await startProxySite({ env: { GEO_PRIMARY_TIMEOUT: `${scaled(300)}ms` } });
});
afterEach(() => calm(site));
afterAll(() => site.close());

const evil = {
  'x-accel-redirect': '/protected/etc/passwd',
  'x-accel-buffering': 'no',
  'x-sendfile': '/etc/passwd',
  'set-cookie': 'session=stolen',
  'strict-transport-security': 'max-age=1',
  'content-security-policy': "default-src 'none'",
  'access-control-allow-origin': '*',
  'cache-control': 'public, max-age=31536000',
  'content-disposition': 'attachment; filename=evil',
  'content-encoding': 'identity',
  'proxy-authenticate': 'Basic',
  'www-authenticate': 'Basic realm="evil"',
  'x-odd-header': 'odd',
  server: 'registry behind',
  via: '1.1 somebody',
  warning: '299 - "not ours"',
};

// What an answer of ours may carry; Node adds the last ones.
const allowed = new Set(
  [
    'accept-ranges cache-control content-length content-range content-type docker-content-digest etag link location',
    'docker-distribution-api-version oci-filters-applied retry-after warning www-authenticate x-content-type-options',
    'connection date keep-alive transfer-encoding',
  ].flatMap((line) => line.split(' ')),
);

let count = 0;

describe.each(['primary', 'secondary'] as const)('of the %s', (where) => {
  test('none passes that is not ours', async () => {
    const name = `header/${where}${(count += 1)}`;
    await (where === 'primary'
      ? pushImage(site.primaryTarget(name), 'v1', pushed)
      : pushToBoth(site, name, 'v1', pushed));
    const relay = where === 'primary' ? site.relay : site.localRelay;
    relay.rules.push({ match: notPing, setHeaders: evil });
    const [config] = pushed.blobs;
    const paths = ['manifests/v1', `manifests/${pushed.digest}`, `blobs/${config!.digest}`, 'tags/list'];
    const ranges = [undefined, 'bytes=0-9', 'bytes=99999999-'];
    const seen = new Set<number>();
    for (const method of ['HEAD', 'GET'] as const) {
      for (const path of [...paths, 'manifests/none', `blobs/sha256:${'0'.repeat(64)}`]) {
        for (const range of ranges) {
          const { status, headers } = await site.ask(`${name}/${path}`, { method, headers: range ? { range } : {} });
          seen.add(status);
          expect(Object.keys(headers).filter((header) => !allowed.has(header))).toEqual([]);
          for (const [header, value] of Object.entries(evil)) expect(headers[header]).not.toBe(value);
          if (status < 400) expect(headers['cache-control']).toBe('private');
        }
      }
    }
    expect([...seen].sort()).toEqual([200, 206, 404, 416]);
  });

  test('an error’s headers end here, too', async () => {
    const relay = where === 'primary' ? site.relay : site.localRelay;
    relay.rules.push(answering(403, 'DENIED', { match: notPing, headers: evil }));
    const { status, headers } = await site.ask(`header/none/blobs/sha256:${'1'.repeat(64)}`);
    expect(status).toBe(where === 'primary' ? 403 : 404);
    expect(Object.keys(headers).filter((header) => !allowed.has(header))).toEqual([]);
    expect(headers['www-authenticate']).toBeUndefined();
  });
});

test('a client’s headers reach no registry', async () => {
  const name = 'header/client';
  await pushImage(site.primaryTarget(name), 'v1', pushed);
  const token = site.pullToken(name);
  const headers = {
    cookie: 'session=mine',
    'x-forwarded-for': '10.0.0.1',
    'x-forwarded-host': 'evil.example.com',
    'x-registry-auth': 'secret',
    'x-internal-marker': '1',
    'proxy-authorization': 'Basic secret',
    forwarded: 'for=10.0.0.1',
    origin: 'https://evil.example.com',
    referer: 'https://evil.example.com/',
    te: 'trailers',
    connection: 'x-internal-marker',
    'accept-encoding': 'gzip, br',
    'user-agent': 'docker/99',
    'x-http-method-override': 'DELETE',
  };
  const [config] = pushed.blobs;
  for (let times = 0; times < 2; times += 1) {
    for (const path of ['manifests/v1', `blobs/${config!.digest}`, 'tags/list']) {
      expect((await site.ask(`${name}/${path}`, { token, headers })).status).toBe(200);
    }
    await untilLocal(site, name, 'v1', pushed.digest);
  }
  const expected = new Set(
    'host connection accept accept-encoding user-agent via authorization range content-type content-length transfer-encoding expect if-none-match'.split(
      ' ',
    ),
  );
  const asked: RelayRequest[] = [...site.relay.requests, ...site.localRelay.requests];
  expect(asked.length).toBeGreaterThan(8);
  for (const request of asked) {
    expect(Object.keys(request.headers).filter((header) => !expected.has(header))).toEqual([]);
    expect(request.headers['user-agent']).toBe('geo-registry-proxy');
    expect(request.headers.authorization).not.toContain(token);
    expect(request.headers['accept-encoding'] ?? 'identity').toBe('identity');
    expect(request.headers.via).toBe('1.1 geo-registry-proxy-test');
    expect(['x-internal-marker', 'close, x-internal-marker']).not.toContain(request.headers.connection);
  }
});

describe('Via', () => {
  test.each([
    '1.1 geo-registry-proxy-test',
    '1.0 nginx, 1.1 geo-registry-proxy-test',
    '1.1 GEO-registry-proxy-TEST , 2 other',
  ])('of our own, "%s", is a loop', async (via) => {
    const answer = await site.ask('header/loop/manifests/v1', { headers: { via } });
    expect({ status: answer.status, code: answer.code }).toEqual({ status: 508, code: 'UNSUPPORTED' });
    expect(site.relay.count(forIt) + site.localRelay.count(forIt)).toBe(0);
  });

  test.each(['1.1 geo-registry-proxy-other', '1.1 geo-registry-proxy-test-2', '2 nginx'])(
    'of others, "%s", is none',
    async (via) => {
      expect((await site.ask('header/loop/tags/list', { headers: { via } })).status).toBe(404);
    },
  );

  test('a primary URL that leads back here ends at once', async () => {
    const here = `127.0.0.1:${await freePort()}`;
    await site.restart({ GEO_LISTEN: here, GEO_PRIMARY_URL: `http://${here}` });
    expect((await site.ask('header/loop/manifests/v1')).status).toBe(503);
    await site.restart();
  });
});

// The last of all: replication that is told to slow down does so.
test('a type or a Retry-After that no header may hold harms nobody', async () => {
  const name = 'header/types';
  await pushImage(site.primaryTarget(name), 'v1', pushed);
  site.relay.rules.push({
    match: ({ path }) => path.includes('/manifests/'),
    setHeaders: { 'content-type': 'text/ht\u00e9ml' },
  });
  expect((await site.ask(`${name}/manifests/v1`)).headers['content-type']).toBe(pushed.mediaType);
  site.relay.rules.unshift(
    answering(429, 'TOOMANYREQUESTS', { match: notPing, headers: { 'retry-after': 'so\u00f6n' } }),
  );
  const { status, headers } = await site.ask(`${name}/manifests/other`);
  expect({ status, retryAfter: headers['retry-after'] }).toEqual({ status: 429, retryAfter: '5' });
});

function long(text: string): string {
  return text.repeat(Math.ceil(60_000 / text.length));
}

async function statusVia(via: string): Promise<number> {
  return (await site.ask('header/loop/tags/list', { headers: { via } })).status;
}

describe('a header of 60 KB', () => {
  test('of trusted hops names the client all the same', async () => {
    const forwarded = `${long('::1,')} 192.0.2.7, 127.0.0.1`;
    expect((await site.ask('header/none/tags/list', { headers: { 'x-forwarded-for': forwarded } })).status).toBe(404);
    await waitFor(() => site.log.findLast(({ msg }) => msg === 'answered')?.['address'] === '192.0.2.7', {
      what: 'the line with the address',
    });
  });

  test('of hops is a loop where one of them is our own, and none where none is', async () => {
    const own = '1.1 geo-registry-proxy-test';
    expect(await statusVia(`${long('1.1 a,')} ${own} , 1.1 b`)).toBe(508);
    expect(await statusVia(`${long(',')}${own}`)).toBe(508);
    expect(await statusVia(`${long(`${own}-2,`)}1.1 b`)).toBe(404);
    expect(await statusVia(`${long(' ')},1x1 geo-registry-proxy-test`)).toBe(404);
  });

  test('of conditions is none: the manifest is the answer', async () => {
    await pushImage(site.primaryTarget('header/condition'), 'v1', pushed);
    const ask = (condition: string): ReturnType<ProxySite['ask']> =>
      site.ask('header/condition/manifests/v1', { headers: { 'if-none-match': condition } });
    expect((await ask(`"${pushed.digest}"`)).status).toBe(304);
    const answer = await ask(`${long('"a",')}"${pushed.digest}"`);
    expect([answer.status, answer.body.equals(pushed.bytes)]).toEqual([200, true]);
  });

  test('of types is read as far as 4 KiB', async () => {
    await pushImage(site.primaryTarget('header/accept'), 'v1', pushed);
    const ask = async (accept: string): Promise<number> =>
      (await site.ask('header/accept/manifests/v1', { headers: { accept } })).status;
    expect(await ask(`${pushed.mediaType},${long('a/b,')}`)).toBe(200);
    expect(await ask(`${long('a/b,')}${pushed.mediaType}`)).toBe(404);
  });
});
