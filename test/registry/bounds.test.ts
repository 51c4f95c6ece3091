// Connections go where the rule has it, by the address that a name has at the moment of connecting.
import { writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { createAddressRule, type AddressRuleOptions } from '../../src/registry/address-rule.ts';
import { requestToken } from '../../src/registry/authorizer-token.ts';
import { failureText } from '../../src/registry/answer.ts';
import { connectRegistry } from '../../src/registry/connect.ts';
import { Transport } from '../../src/registry/transport.ts';
import { tempDir } from '../support/tool.ts';
import { startRawServer, type RawServer } from './raw-server.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(closing.splice(0).map((close) => close()));
});

async function serve(): Promise<RawServer> {
  const server = await startRawServer((_request, response) => void response.end('secret'));
  closing.push(() => server.close());
  return server;
}

/** Names and their addresses; what is asked of it is noted. */
function names(table: Record<string, readonly string[]>): LookupFunction & { readonly asked: string[] } {
  const asked: string[] = [];
  const lookup: LookupFunction = (name, options, callback) => {
    asked.push(name);
    const found = (table[name] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    if (found.length === 0) callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '', 0);
    else if (options.all) callback(null, found);
    else callback(null, found[0]!.address, found[0]!.family);
  };
  return Object.assign(lookup, { asked });
}

interface Made {
  readonly home?: string;
  readonly lookup?: LookupFunction;
  readonly useProxy?: boolean;
  readonly rule?: AddressRuleOptions;
}

function transportOf({ home = 'http://registry.example.com', lookup, useProxy = false, rule }: Made): Transport {
  const transport = new Transport({
    connections: 4,
    connectTimeout: 1_000,
    bodyTimeout: 5_000,
    useProxy,
    bounds: { home, rule: createAddressRule(new URL(home), rule) },
    ...(lookup ? { lookup } : {}),
  });
  closing.push(() => transport.destroy());
  return transport;
}

/** What is at an origin, or why it is not asked. */
async function read(transport: Transport, origin: string, method: 'GET' | 'HEAD' = 'GET'): Promise<string> {
  return transport.request({ origin, path: '/', method }).then(
    ({ body }) => body.text(),
    (error: Error) => error.message,
  );
}

test('neither an address nor a name that means loopback is connected to', async () => {
  const server = await serve();
  const { port } = server.url;
  const lookup = names({ 'storage.example.com': ['127.0.0.1'], 'two.example.com': ['203.0.113.1', '127.0.0.1'] });
  const transport = transportOf({ lookup });
  for (const host of ['127.0.0.1', '[::ffff:127.0.0.1]', 'localhost', 'storage.example.com', 'two.example.com']) {
    expect(await read(transport, `http://${host}:${port}`)).toMatch(
      /loopback address, and not allowed by GEO_REDIRECT/,
    );
  }
  expect({ connections: server.connections, requests: server.requests }).toEqual({ connections: 0, requests: [] });
  expect(lookup.asked).toEqual(['storage.example.com', 'two.example.com']);
});

test('a connection goes to the address that was judged, whatever the name means a moment later', async () => {
  const server = await serve();
  const allowed = ['127.0.0.2'];
  const table = { 'storage.example.com': allowed };
  const lookup = names(table);
  const rebinding: LookupFunction = (...asked) => {
    lookup(...asked);
    table['storage.example.com'] = ['127.0.0.1'];
  };
  const rule = { isAllowed: (host: string) => host === '127.0.0.2' };
  const transport = transportOf({ lookup: rebinding, rule });
  const origin = `http://storage.example.com:${server.url.port}`;
  expect(await read(transport, origin)).toMatch(/ECONNREFUSED 127\.0\.0\.2/);
  expect(lookup.asked).toHaveLength(1);
  expect(await read(transport, origin)).toMatch(/127\.0\.0\.1\) is a loopback address/);
  expect(server.connections).toBe(0);
});

test('the registry itself is connected to wherever it is, and so is its own kind from then on', async () => {
  const [registry, storage] = await Promise.all([serve(), serve()]);
  const home = `http://registry.example.com:${registry.url.port}`;
  const lookup = names({ 'registry.example.com': ['127.0.0.1'], 'storage.example.com': ['127.0.0.1'] });
  const transport = transportOf({ home, lookup });
  const origin = `http://storage.example.com:${storage.url.port}`;
  expect(await read(transport, origin)).toMatch(/loopback/);
  expect(await read(transport, home)).toBe('secret');
  expect(await read(transport, origin)).toBe('secret');
  expect(await read(transport, storage.url.origin)).toBe('secret');
  expect(await read(transport, 'http://169.254.169.254')).toMatch(/link-local/);
});

test('a HEAD is refused as a GET is', async () => {
  const server = await serve();
  const transport = transportOf({});
  await expect(transport.request({ origin: server.url.origin, path: '/', method: 'HEAD' })).rejects.toThrow(/loopback/);
  expect(server.requests).toEqual([]);
});

test('where a proxy resolves names, addresses and localhost are refused all the same', async () => {
  const proxy = await serve();
  vi.stubEnv('http_proxy', proxy.url.href);
  vi.stubEnv('no_proxy', 'direct.example.com');
  const lookup = names({ 'direct.example.com': ['127.0.0.1'] });
  const transport = transportOf({ useProxy: true, lookup });
  for (const host of ['127.0.0.1', 'localhost', 'a.localhost.', '[::1]', '169.254.169.254']) {
    expect(await read(transport, `http://${host}:9000`)).toMatch(/GEO_REDIRECT_HOSTS/);
  }
  // What is connected to directly is resolved here.
  expect(await read(transport, `http://direct.example.com:${proxy.url.port}`)).toMatch(/loopback/);
  expect(proxy.requests).toEqual([]);
  expect(await read(transport, 'http://storage.example.com')).toBe('secret');
  expect(lookup.asked).toEqual(['direct.example.com']);
});

test('a token service that a registry names is bound by the same rule', async () => {
  const server = await serve();
  const realm = new URL('/token', server.url);
  const wanted = { realm, service: undefined, scopes: [], credentials: undefined };
  const dispatcher = transportOf({});
  await expect(requestToken({ dispatcher, timeout: 2_000 }, wanted)).rejects.toThrow(/loopback/);
  expect(server.requests).toEqual([]);
});

const outside = Object.values(networkInterfaces())
  .flatMap((entries) => entries ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

test.skipIf(outside === undefined)('but the one that the operator has chosen may be anywhere', async () => {
  const tokens = await startRawServer((_request, response) => void response.end('{"token":"t"}'));
  const realm = `${tokens.url.origin}/token`;
  const registry = createServer((request, response) => {
    const isLetIn = request.headers.authorization === 'Bearer t';
    response.writeHead(isLetIn ? 200 : 401, { 'www-authenticate': `Bearer realm="${realm}"` }).end();
  });
  await once(registry.listen(0, outside), 'listening');
  const origin = new URL(`http://${outside}:${(registry.address() as AddressInfo).port}`);
  const config = await tempDir();
  await writeFile(join(config.path, 'config.json'), '{}');
  vi.stubEnv('DOCKER_CONFIG', config.path);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const deps = { keys: {} as never, log, via: 'x', issuer: 'x', service: 'x', tokenKeyId: 'libtrust' as const };
  const options = { registry: 'primary' as const, auth: 'docker-config' as const, origin, useProxy: false };
  const acceptsUs = async (chosen: string | undefined): Promise<boolean | string> => {
    const made = connectRegistry({ ...deps, realm: chosen }, { ...options, connections: 2, connectTimeout: 1_000 });
    closing.push(() => made.transport.destroy());
    const ping = await made.registry.ping();
    return ping.kind === 'found' ? ping.value.acceptsUs : failureText(ping);
  };
  closing.push(
    () => tokens.close(),
    async () => registry.close().closeAllConnections(),
    config.remove,
  );
  expect(await acceptsUs(undefined)).toMatch(/is a loopback address, and not allowed by GEO_REDIRECT_HOSTS$/);
  expect(await acceptsUs('https://gitlab.example.com/jwt/auth')).toMatch(/loopback/);
  expect(tokens.requests).toEqual([]);
  expect(await acceptsUs(realm)).toBe(true);
});
