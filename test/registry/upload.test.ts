// Uploads: a session is on the registry's own origin, whatever its Location says, and no token goes anywhere else.
import { Readable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { Authorizer } from '../../src/registry/authorizer.ts';
import { blob } from '../support/content.ts';
import { startRawServer, type RawServer } from './raw-server.ts';
import { scaled } from '../support/patience.ts';

const servers: RawServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

const { bytes } = blob(100, 'upload');
const digest = digestOf(bytes);
const authorizer: Authorizer = { header: async () => 'Bearer s3cret', renew: async () => false };

async function serve(location: (own: string) => string): Promise<RawServer> {
  const server = await startRawServer((request, response) => {
    request.resume();
    if (request.method === 'POST') response.writeHead(202, { location: location(server.url.origin) }).end();
    else request.on('end', () => response.writeHead(201).end());
  });
  servers.push(server);
  return server;
}

test.each<[string, (own: string) => string, string]>([
  ['of its own', (own) => `${own}/v2/a/blobs/uploads/1?_state=x`, '/v2/a/blobs/uploads/1?_state=x'],
  ['without a host', () => '/v2/a/blobs/uploads/1', '/v2/a/blobs/uploads/1'],
  ['of a public host', () => 'https://registry.example.com/v2/a/blobs/uploads/1', '/v2/a/blobs/uploads/1'],
  ['with a path that looks like a host', (own) => `${own}//127.0.0.1:1/take/it`, '//127.0.0.1:1/take/it'],
  ['that is no URL once it is cut', (own) => `${own}//[/x`, '//[/x'],
])('a Location %s leads to the registry itself', async (_what, location, path) => {
  const server = await serve(location);
  const { uploads } = server.registry({ authorizer });
  const session = await uploads.start('a', scaled(1_000));
  expect(session.kind).toBe('found');
  if (session.kind !== 'found') return;
  const body = Readable.from([bytes]);
  expect((await uploads.put('a', session.value, digest, body, bytes.length)).kind).toBe('found');
  const query = `digest=${encodeURIComponent(digest)}`;
  expect(server.requests.at(-1)).toBe(`PUT ${path}${path.includes('?') ? '&' : '?'}${query}`);
});

test('a request with a token to another host is not made', async () => {
  const [own, other] = [await serve(() => '/'), await serve(() => '/')];
  const target = new URL('/v2/a/blobs/uploads/1', other.url);
  await expect(
    own.client({ authorizer }).send({ method: 'PUT', target, access: [], timeout: scaled(1_000) }),
  ).rejects.toThrow('it led to another host');
  expect(other.requests).toEqual([]);
});
