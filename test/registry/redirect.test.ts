// Redirects, hop by hop: whether one is followed, and whom our token is shown to.
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Client, RegistryRequest } from '../../src/registry/client.ts';
import { sendFollowing } from '../../src/registry/redirect.ts';
import type { RegistryResponse } from '../../src/registry/response.ts';
import { pullAccess } from '../../src/auth/scope.ts';

/** No bytes, as undici gives them. */
function emptyBody(): RegistryResponse['body'] {
  return Object.assign(Readable.from([]), { dump: () => Promise.resolve() }) as unknown as RegistryResponse['body'];
}

/** A registry at https://registry.example.com that leads on by these, one after the other, and what it was asked. */
function leading(...locations: string[]): { client: Client; asked: string[] } {
  const asked: string[] = [];
  const send = async ({ target, access }: RegistryRequest): Promise<RegistryResponse> => {
    const { href } = new URL(target, 'https://registry.example.com');
    asked.push(access ? `${href} with a token` : href);
    const [location, body] = [locations.shift(), emptyBody()];
    return location === undefined
      ? { statusCode: 200, headers: {}, body }
      : { statusCode: 307, headers: { location }, body };
  };
  const origin = new URL('https://registry.example.com');
  const isHome = (url: URL): boolean => url.origin === origin.origin;
  const client = { registry: 'primary', origin, isHome, send };
  return { client: client as unknown as Client, asked };
}

const request: RegistryRequest = { method: 'GET', target: '/v2/a/b', access: [pullAccess('a')], timeout: 0 };

test('only the registry’s own origin is shown a token', async () => {
  const { client, asked } = leading('/v2/c', 'https://storage.example.com/1', 'https://registry.example.com/v2/d');
  expect(await sendFollowing(client, request)).toMatchObject({ isStorage: true, response: { statusCode: 200 } });
  expect(asked).toEqual([
    'https://registry.example.com/v2/a/b with a token',
    'https://registry.example.com/v2/c with a token',
    'https://storage.example.com/1',
    'https://registry.example.com/v2/d with a token',
  ]);
});

test.each([
  ['the first', ['http://storage.example.com/1']],
  ['a later one', ['https://storage.example.com/1', 'http://storage.example.com/2']],
])('none leads from https to http: %s', async (_which, locations) => {
  const { client, asked } = leading(...locations);
  const last = locations.length;
  await expect(sendFollowing(client, request)).rejects.toThrow(
    'primary: redirect from https to http, to storage.example.com',
  );
  expect(asked).toHaveLength(last);
});

test('the sixth is not followed', async () => {
  const { client, asked } = leading(...Array.from({ length: 9 }, (_, nth) => `https://storage.example.com/${nth}`));
  await expect(sendFollowing(client, request)).rejects.toThrow('primary: too many redirects');
  expect(asked).toHaveLength(6);
});
