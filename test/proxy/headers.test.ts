// Headers of answers: whatever a registry sends along, a client gets ours, and no cache in between keeps any of it.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image, mediaTypes } from '../support/image.ts';
import { startProxySite, type Answer, type Asking, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import type { RelayRule } from '../support/relay-rule.ts';
import { repositoryAccess } from '../support/token.ts';
import { pushToBoth } from './local-copy.ts';
import { addOdd, expectOurs } from './odd-headers.ts';

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite();
});
afterEach(async () => {
  await Promise.all([site.relay.up(), site.localRelay.up()]);
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(() => site.close());

let count = 0;

/** An image with one layer in a repository of its own, at the primary, or at both sites. */
async function placed(where: 'primary' | 'both') {
  const name = `headers/no${(count += 1)}`;
  const pushed = image(name, { layers: 1 });
  if (where === 'both') await pushToBoth(site, name, 'v1', pushed);
  else await pushImage(site.primaryTarget(name), 'v1', pushed);
  const layer = pushed.blobs[1]!;
  return {
    name,
    tag: `${name}/manifests/v1`,
    digest: `${name}/manifests/${pushed.digest}`,
    layer: `${name}/blobs/${layer.digest}`,
    pushed,
    size: layer.size,
  };
}

type Placed = Awaited<ReturnType<typeof placed>>;

interface Case {
  readonly what: string;
  readonly path: (placed: Placed) => string;
  readonly asking?: (placed: Placed) => Asking;
  readonly status: number;
  readonly headers?: (placed: Placed) => Record<string, unknown>;
}

const manifestHeaders = ({ pushed }: Placed): Record<string, string> => ({
  'content-type': mediaTypes.ociManifest,
  'content-length': String(pushed.size),
  'docker-content-digest': pushed.digest,
  etag: `"${pushed.digest}"`,
});
const blobHeaders = ({ pushed, size }: Placed): Record<string, string> => ({
  'content-type': 'application/octet-stream',
  'content-length': String(size),
  'docker-content-digest': pushed.blobs[1]!.digest,
  etag: `"${pushed.blobs[1]!.digest}"`,
  'accept-ranges': 'bytes',
});
const partHeaders = (each: Placed): Record<string, string> => ({
  ...blobHeaders(each),
  'content-length': '10',
  'content-range': `bytes 5-14/${each.size}`,
});
const head = { method: 'HEAD' } as const;
const part = { headers: { range: 'bytes=5-14' } };
const unchanged = ({ pushed }: Placed): Asking => ({ headers: { 'if-none-match': `"${pushed.digest}"` } });
const unchangedLayer = ({ pushed }: Placed): Asking => ({
  headers: { 'if-none-match': `"${pushed.blobs[1]!.digest}"` },
});
const tag = ({ tag: path }: Placed): string => path;
const digest = ({ digest: path }: Placed): string => path;
const layer = ({ layer: path }: Placed): string => path;

const content: Case[] = [
  { what: 'a manifest by tag', path: tag, status: 200, headers: manifestHeaders },
  { what: 'a manifest by digest', path: digest, status: 200, headers: manifestHeaders },
  { what: 'HEAD of a tag', path: tag, asking: () => head, status: 200, headers: manifestHeaders },
  { what: 'HEAD of a manifest’s digest', path: digest, asking: () => head, status: 200, headers: manifestHeaders },
  { what: 'a tag that the client has', path: tag, asking: unchanged, status: 304 },
  { what: 'a blob', path: layer, status: 200, headers: blobHeaders },
  { what: 'HEAD of a blob', path: layer, asking: () => head, status: 200, headers: blobHeaders },
  { what: 'a part of a blob', path: layer, asking: () => part, status: 206, headers: partHeaders },
  { what: 'a blob that the client has', path: layer, asking: unchangedLayer, status: 304 },
  {
    what: 'a part that is not there',
    path: layer,
    asking: () => ({ headers: { range: 'bytes=9999-' } }),
    status: 416,
    headers: ({ size }) => ({ 'content-range': `bytes */${size}` }),
  },
  { what: 'a manifest that does not exist', path: ({ name }) => `${name}/manifests/gone`, status: 404 },
  { what: 'a blob that does not exist', path: ({ name }) => `${name}/blobs/${blob(5, 'gone').digest}`, status: 404 },
];

const lists: Case[] = [
  { what: 'the tags', path: ({ name }) => `${name}/tags/list`, status: 200 },
  { what: 'the catalog', path: () => '_catalog', asking: () => ({ token: catalogToken() }), status: 200 },
];

function catalogToken(): string {
  return site.tokenFor([{ type: 'registry', name: 'catalog', actions: ['*'] }]);
}

async function ask({ path, asking }: Case, each: Placed): Promise<Answer> {
  return site.ask(path(each), asking?.(each));
}

describe.each([
  { from: 'the primary', where: 'primary' as const, cases: [...content, ...lists] },
  { from: 'the secondary', where: 'both' as const, cases: content },
])('from $from', ({ where, cases }) => {
  test.each(cases)('$what comes with our headers only', async (each) => {
    const made = await placed(where);
    const rules = [addOdd(site.relay), addOdd(site.localRelay)];
    const answer = await ask(each, made);
    expect(answer.status).toBe(each.status);
    expectOurs(answer);
    expect(answer.headers).toMatchObject(each.headers?.(made) ?? {});
    const [remote = 0, local = 0] = rules.map(({ used = 0 }) => used);
    expect(where === 'primary' || each.path === tag ? remote : local + remote).toBeGreaterThan(0);
  });
});

test.each([...content.slice(0, 1), ...lists])(
  'with the primary down $what of the secondary comes with our headers, and our warning',
  async (each) => {
    const made = await placed('both');
    await site.relay.down();
    const rule = addOdd(site.localRelay);
    const answer = await ask(each, made);
    expect(answer.status).toBe(200);
    expectOurs(answer);
    expect(answer.headers['warning']).toMatch(/^299 - "[^"]+"$/);
    expect(rule.used).toBeGreaterThan(0);
  },
);

test('what is in memory is answered with our headers', async () => {
  const made = await placed('primary');
  addOdd(site.relay);
  expect((await site.ask(made.digest)).status).toBe(200);
  await Promise.all([site.relay.down(), site.localRelay.down()]);
  const answer = await site.ask(made.digest);
  expect(answer.status).toBe(200);
  expectOurs(answer);
  expect(answer.headers).toMatchObject(manifestHeaders(made));
});

test('a pusher’s HEAD is the primary’s answer under our headers', async () => {
  const made = await placed('both');
  const token = site.tokenFor([repositoryAccess(made.name, 'pull', 'push')]);
  for (const [path, headers] of [
    [made.tag, manifestHeaders(made)],
    [made.layer, blobHeaders(made)],
  ] as const) {
    const rule = addOdd(site.relay, { match: (asked) => asked.method === 'HEAD' && asked.path === `/v2/${path}` });
    const answer = await site.ask(path, { method: 'HEAD', token });
    expectOurs(answer);
    expect(answer.headers).toMatchObject(headers);
    expect(rule.used).toBe(1);
    site.relay.reset();
  }
});

test('referrers come with our headers', async () => {
  const { digest: path } = await placed('primary');
  addOdd(site.relay, {
    answer: { status: 200, headers: { 'content-type': mediaTypes.ociIndex }, body: '{"manifests":[]}' },
  });
  const answer = await site.ask(path.replace('/manifests/', '/referrers/'));
  expect(answer.status).toBe(200);
  expectOurs(answer);
  expect(answer.headers['content-type']).toBe(mediaTypes.ociIndex);
});

test('a blob is never of a type that a browser would run, whoever says so', async () => {
  for (const where of ['primary', 'both'] as const) {
    const made = await placed(where);
    const rule: RelayRule = {
      match: ({ path }) => path.includes('/blobs/'),
      setHeaders: { 'content-type': 'image/svg+xml' },
    };
    site.relay.rules.push(rule);
    site.localRelay.rules.push(rule);
    const answer = await site.ask(made.layer);
    expect({ status: answer.status, type: answer.headers['content-type'] }).toEqual({
      status: 200,
      type: 'application/octet-stream',
    });
    expect(rule.used).toBeGreaterThan(0);
    site.relay.reset();
    site.localRelay.reset();
  }
});

test('the API’s own answers carry its headers, too', async () => {
  expectOurs(await site.ask('', { token: catalogToken() }));
  expectOurs(await site.ask('', { token: '' }));
  expectOurs(await site.ask('no/such/endpoint', { token: catalogToken() }));
  expectOurs(await site.ask('a/b/blobs/uploads/', { method: 'POST', token: '' }));
});
