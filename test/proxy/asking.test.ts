// What the registries are asked: in our own name and words, whatever a client sends along; and that no request goes in circles.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image, type Manifest } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import type { Relay, RelayMatch, RelayRequest } from '../support/relay.ts';
import { freePort } from '../support/tool.ts';
import { pushToBoth, untilLocal } from './local-copy.ts';
import { send } from './wire.ts';

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

const allTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/vnd.docker.distribution.manifest.v1+json',
  '*/*',
];

const ours = new Set(
  `host connection user-agent via authorization accept accept-encoding range
  content-type content-length transfer-encoding if-none-match`.split(/\s+/),
);

/** What clients send along, for us, by mistake, or to see how far it gets. */
const sent: Record<string, string> = {
  'accept-encoding': 'gzip, br',
  'accept-language': 'de',
  accept: '*/*',
  'cache-control': 'no-cache',
  cookie: 'session=mine',
  forwarded: 'for=1.2.3.4;host=evil.example.com',
  'if-match': '"x"',
  'if-modified-since': 'Thu, 01 Jan 2099 00:00:00 GMT',
  'if-none-match': '"sha256:0"',
  'if-range': '"x"',
  'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT',
  origin: 'https://evil.example.com',
  pragma: 'no-cache',
  'proxy-authorization': 'Basic eDp5',
  range: 'bytes=1-2',
  referer: 'https://evil.example.com',
  'user-agent': 'docker/20.10.24',
  via: '1.1 nginx, 1.1 geo-registry-proxy-other',
  'x-accel-redirect': '/etc/passwd',
  'x-forwarded-for': '10.0.0.1',
  'x-forwarded-host': 'evil.example.com',
  'x-forwarded-proto': 'https',
  'x-http-method-override': 'DELETE',
  'x-original-url': '/v2/other/repository/manifests/v1',
  'x-real-ip': '10.0.0.1',
  'x-registry-auth': 'eyJ1c2VybmFtZSI6IngifQ==',
};

let count = 0;

async function placed(where: 'primary' | 'both'): Promise<{ name: string; pushed: Manifest }> {
  const name = `asking/no${(count += 1)}`;
  const pushed = image(name, { layers: 2 });
  if (where === 'both') await pushToBoth(site, name, 'v1', pushed);
  else await pushImage(site.primaryTarget(name), 'v1', pushed);
  return { name, pushed };
}

function accessOf({ headers }: RelayRequest): unknown {
  const payload = (headers.authorization ?? '').split('.')[1] ?? '';
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { access: unknown }).access;
}

/** Expects of each request that all of it is ours: names of headers, their values, and a token for no more than that. */
function expectOurs(relay: Relay): void {
  expect(relay.count()).toBeGreaterThan(0);
  for (const request of relay.requests) {
    const { headers, method, path } = request;
    // Of the test before, what is stored in the background may still be under way.
    const name = /^\/v2\/(.*)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1];
    expect(Object.keys(headers).filter((each) => !ours.has(each))).toEqual([]);
    expect(headers).toMatchObject({
      host: new URL(relay.url).host,
      'user-agent': 'geo-registry-proxy',
      via: '1.1 geo-registry-proxy-test',
    });
    expect([undefined, 'identity']).toContain(headers['accept-encoding']);
    // A tag that is asked again is to be confirmed: the condition is ours, and on nothing else.
    const isTagLookUp = relay === site.relay && method === 'HEAD' && path.endsWith('/manifests/v1');
    expect(headers['if-none-match'] ?? 'none').toMatch(isTagLookUp ? /^"sha256:[\da-f]{64}"$|^none$/ : /^none$/);
    if (path.includes('/manifests/')) {
      if (method !== 'PUT') expect(headers.accept?.split(', ').sort()).toEqual([...allTypes].sort());
      expect(headers.range).toBeUndefined();
    }
    if (path === '/v2/') expect(accessOf(request)).toEqual([]);
    else if (method === 'GET' || method === 'HEAD') {
      expect(accessOf(request)).toEqual([{ type: 'repository', name, actions: ['pull'] }]);
    }
  }
}

/** Pulls all of an image with a client's headers; the answers are what was asked for. */
async function pull(name: string, pushed: Manifest): Promise<void> {
  const { range, ...headers } = sent;
  for (const method of ['HEAD', 'GET'] as const) {
    for (const reference of ['v1', pushed.digest]) {
      const answer = await site.ask(`${name}/manifests/${reference}`, { method, headers: sent });
      expect([answer.status, answer.headers['docker-content-digest']]).toEqual([200, pushed.digest]);
    }
    for (const { digest } of pushed.blobs) {
      expect((await site.ask(`${name}/blobs/${digest}`, { method, headers })).status).toBe(200);
    }
  }
  expect((await site.ask(`${name}/tags/list`, { headers: sent })).status).toBe(200);
  expect((await site.ask(`${name}/manifests/unknown`, { headers: sent })).status).toBe(404);
  expect((await site.ask(`${name}/referrers/${pushed.digest}`, { headers: sent })).status).toBe(404);
  const part = await site.ask(`${name}/blobs/${pushed.blobs[1]!.digest}`, { headers: { range: range!, via: 'x y' } });
  expect([part.status, part.body.length]).toEqual([206, 2]);
}

describe('of what a client sends along', () => {
  test('nothing reaches either registry on a cold pull, nor while it is stored', async () => {
    const { name, pushed } = await placed('primary');
    await pull(name, pushed);
    await untilLocal(site, name, 'v1', pushed.digest);
    expectOurs(site.relay);
    expectOurs(site.localRelay);
    expect(site.localRelay.count(({ method, path }) => method === 'PUT' && path.includes(name))).toBeGreaterThan(1);
  });

  test('nothing reaches either registry on a warm one', async () => {
    const { name, pushed } = await placed('both');
    await pull(name, pushed);
    expectOurs(site.relay);
    expectOurs(site.localRelay);
    expect(site.localRelay.count(({ method, path }) => method === 'PUT' && path.includes(name))).toBe(0);
  });

  test('a condition that a registry would take for true is judged by us alone', async () => {
    const { name, pushed } = await placed('both');
    const { digest, size } = pushed.blobs[1]!;
    const headers = {
      'if-none-match': '"another"',
      'if-match': '"another"',
      'if-modified-since': new Date().toUTCString(),
    };
    const answer = await site.ask(`${name}/blobs/${digest}`, { headers });
    expect([answer.status, answer.body.length]).toEqual([200, size]);
  });

  test('If-Range of other content makes it the whole blob, of this one the part', async () => {
    for (const where of ['both', 'primary'] as const) {
      const { name, pushed } = await placed(where);
      const { digest, size } = pushed.blobs[1]!;
      const ask = async (condition: string): Promise<number[]> => {
        const headers = { range: 'bytes=0-9', 'if-range': condition };
        const { status, body } = await site.ask(`${name}/blobs/${digest}`, { headers });
        return [status, body.length];
      };
      expect(await ask(`"${pushed.digest}"`)).toEqual([200, size]);
      expect(await ask('Thu, 01 Jan 2099 00:00:00 GMT')).toEqual([200, size]);
      expect(await ask(`"${digest}"`)).toEqual([206, 10]);
      expect([...site.relay.requests, ...site.localRelay.requests].some((each) => 'if-range' in each.headers)).toBe(
        false,
      );
    }
  });
});

test.each([undefined, '', '*/*', 'application/vnd.oci.image.manifest.v1+json', 'text/html', 'application/json;q=0.1'])(
  'both registries are asked with every type when the client accepts %s',
  async (accept) => {
    const { name, pushed } = await placed('primary');
    const headers: Record<string, string> = accept === undefined ? {} : { accept };
    await site.ask(`${name}/manifests/v1`, { headers });
    await site.ask(`${name}/manifests/${pushed.digest}`, { headers });
    await untilLocal(site, name, 'v1', pushed.digest);
    for (const relay of [site.relay, site.localRelay]) {
      const asked = relay.requests.filter(
        ({ method, path }) => path.includes(`${name}/manifests/`) && method !== 'PUT',
      );
      expect(asked.length).toBeGreaterThan(0);
      for (const request of asked) expect(request.headers.accept?.split(', ').sort()).toEqual([...allTypes].sort());
    }
  },
);

describe('a request that has been here before', () => {
  const own = '1.1 geo-registry-proxy-test';

  test.each<[what: string, via: string | string[]]>([
    ['our own alone', own],
    ['our own in a list', `1.1 nginx, ${own}, 1.1 other`],
    ['our own without a space after the comma', `1.1 nginx,${own}`],
    ['our own in a field of its own', ['1.1 nginx', own]],
    ['our own in upper case', own.toUpperCase()],
  ])('is 508 with %s in Via, before any question', async (_what, via) => {
    const name = 'asking/loop';
    const { digest } = blob(1, 'any');
    const paths = ['manifests/v1', `manifests/${digest}`, `blobs/${digest}`, 'tags/list'];
    for (const path of paths) {
      const headers = { authorization: `Bearer ${site.pullToken(name)}`, via };
      const answer = await send(site.proxy.url, `GET /v2/${name}/${path}`, headers);
      expect({ status: answer.status, code: answer.code }).toEqual({ status: 508, code: 'UNSUPPORTED' });
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    }
    const ofThis: RelayMatch = ({ path }) => path.includes(name);
    expect(site.relay.count(ofThis) + site.localRelay.count(ofThis)).toBe(0);
  });

  test.each(['1.1 geo-registry-proxy-test2', '1.1 geo-registry-proxy', '1.1 nginx', '', ','])(
    'is not one with "%s" in Via',
    async (via) => {
      expect((await site.ask('asking/loop/tags/list', { headers: { via } })).status).toBe(404);
    },
  );

  test('ends after one round when the primary’s URL leads back to us', async () => {
    const port = await freePort();
    const listen = `127.0.0.1:${port}`;
    await site.restart({ GEO_LISTEN: listen, GEO_PRIMARY_URL: `http://${listen}` });
    const before = site.log.length;
    expect((await site.ask(`asking/loop/blobs/${blob(1, 'any').digest}`)).status).toBe(503);
    const rounds = site.log.slice(before).filter(({ msg, kind }) => msg === 'answered' && kind === 'blob');
    expect(rounds.map(({ status }) => status)).toEqual([508, 503]);
    await site.restart();
  });
});
