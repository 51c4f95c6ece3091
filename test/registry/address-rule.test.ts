// Which addresses a registry may lead us to, by the address itself and however it is written.
import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { createAddressRule, specialKind } from '../../src/registry/address-rule.ts';

const far = new URL('https://registry.example.com');

/** What a rule says of a URL, as far as its host tells. */
function refusalOf(url: string, rule = createAddressRule(far)): string | undefined {
  const { hostname, port } = new URL(url);
  return rule.refusal(hostname, port === '' ? 80 : Number(port));
}

test.each([
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['::1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['64:ff9b::127.0.0.1', 'loopback'],
  ['169.254.169.254', 'link-local'],
  ['::ffff:a9fe:a9fe', 'link-local'],
  ['64:ff9b::169.254.169.254', 'link-local'],
  ['fe80::1', 'link-local'],
  ['febf::1', 'link-local'],
  ['fd00:ec2::254', 'metadata service'],
  ['168.63.129.16', 'metadata service'],
  ['100.100.100.200', 'metadata service'],
  ['0.0.0.0', 'unspecified'],
  ['0.1.2.3', 'unspecified'],
  ['::', 'unspecified'],
  ['::127.0.0.1', 'unspecified'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.250', 'multicast'],
  ['255.255.255.255', 'multicast'],
  ['ff02::1', 'multicast'],
])('%s is a %s address', (address, kind) => {
  expect(specialKind(address)).toBe(kind);
});

test.each(['10.0.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1', '203.0.113.1', '1.0.0.1', 'fd00::1', '2001:db8::1'])(
  '%s may be led to: object storage is often in a private network',
  (address) => {
    expect(specialKind(address)).toBeUndefined();
  },
);

test.each([
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f.0.0.1/',
  'http://0177.0.0.1/',
  'http://127.0.0.1./',
  'http://localhost/',
  'http://LOCALHOST:9000/',
  'http://localhost./',
  'http://storage.localhost/',
  'http://[::1]/',
  'http://[0:0:0:0:0:0:0:1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://0/',
  'http://169.254.169.254/latest/meta-data/',
  'http://0xa9fea9fe/',
])('%s is refused, and the reason names the variable', (url) => {
  expect(refusalOf(url)).toMatch(/ address, and not allowed by GEO_REDIRECT_HOSTS$/);
});

test.each(['http://storage.example.com/', 'http://localhost.example.com/', 'http://10.0.0.1/', 'http://[fd00::1]/'])(
  '%s is not',
  (url) => {
    expect(refusalOf(url)).toBeUndefined();
  },
);

test('a name is judged by each address that it was resolved to', () => {
  const rule = createAddressRule(far);
  expect(rule.refusal('storage.example.com', 443, '203.0.113.1')).toBeUndefined();
  expect(rule.refusal('storage.example.com', 443, '::ffff:169.254.169.254')).toBe(
    'storage.example.com:443 (::ffff:169.254.169.254) is a link-local address, and not allowed by GEO_REDIRECT_HOSTS',
  );
});

test('addresses of the registry’s own kind may be led to, others not', () => {
  const near = createAddressRule(new URL('http://127.0.0.1:5000'));
  expect(refusalOf('http://localhost:9000', near)).toBeUndefined();
  expect(refusalOf('http://[::1]:9000', near)).toBeUndefined();
  expect(refusalOf('http://169.254.169.254', near)).toBeDefined();
  expect(refusalOf('http://0.0.0.0:9000', near)).toBeDefined();
});

test('a registry that is a name is where it was reached last', () => {
  const rule = createAddressRule(far);
  expect(refusalOf('http://127.0.0.1:9000', rule)).toBeDefined();
  rule.reachedAt('::ffff:127.0.0.1');
  expect(refusalOf('http://127.0.0.1:9000', rule)).toBeUndefined();
  rule.reachedAt('203.0.113.1');
  expect(refusalOf('http://127.0.0.1:9000', rule)).toBeDefined();
});

test('what the operator allows is allowed by its name or by its address', () => {
  const asked: [string, number][] = [];
  const isAllowed = (host: string, port: number): boolean => {
    asked.push([host, port]);
    return host === '::1' || host === 'minio.localhost';
  };
  const rule = createAddressRule(far, { isAllowed });
  expect(refusalOf('http://MinIO.localhost.:9000', rule)).toBeUndefined();
  expect(refusalOf('http://[::1]:9000', rule)).toBeUndefined();
  expect(rule.refusal('any.example.com', 9000, '::1')).toBeUndefined();
  expect(refusalOf('http://127.0.0.1:9000', rule)).toBeDefined();
  expect(asked).toContainEqual(['minio.localhost', 9000]);
});

test('our own listeners are never led to, at whatever address of this machine', () => {
  const options = { isAllowed: () => true, ownPorts: new Set([5081]) };
  const rule = createAddressRule(new URL('http://127.0.0.1:5000'), options);
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const addresses = ['127.0.0.1', '127.9.9.9', '0.0.0.0', ...own.map(({ address }) => address)];
  for (const address of addresses) {
    expect(rule.refusal('name.example.com', 5081, address)).toMatch(/is a listener of this proxy$/);
    expect(rule.refusal('name.example.com', 5082, address)).toBeUndefined();
  }
  expect(rule.refusal('name.example.com', 5081, '203.0.113.1')).toBeUndefined();
});
