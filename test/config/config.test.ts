import { expect, test } from 'vitest';
import { type Config, ConfigError, inspectConfig } from '../../src/config/config.ts';
import { environment, problems } from './environment.ts';

const URLS = 'an http or https URL without path, query and credentials, such as https://registry.example.com:5050';
const KEYS = 'a file with an unencrypted PEM private key, RSA of 2048 bits or more, or EC P-256, P-384 or P-521';
const LISTEN = 'host:port, [IPv6 address]:port, or :port for all addresses';
const HOST = 'a host name with or without a port, such as registry.example.com:5050';
const HOSTS =
  'hosts with or without a port separated by commas, such as minio.example.com:9000, *.example.com or 127.0.0.1';
const REALM = 'an absolute http or https URL without credentials, such as https://gitlab.example.com/jwt/auth';
const SIZE = 'bytes, or a whole number with kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 64MiB';
const BANDWIDTH = `${SIZE}, at least 1KiB; nothing at all for no limit`;
const DURATION = 'a whole number with ms, s, m or h, such as 500ms, 30s, 5m or 1h, or 0, at most 596h';
const TIMEOUT = 'a whole number with ms, s, m or h, such as 500ms, 30s, 5m or 1h, over 0 and at most 596h';
const QUOTABLE = 'visible ASCII characters without quotes and backslashes';
const LABEL = '1 to 64 letters, digits, dots, dashes and underscores';
const PROXIES = 'loopback, uniquelocal, IP addresses and networks such as 10.0.0.0/8, separated by commas';
const GLOBS =
  'repository globs in lower case separated by commas, such as group, group/*, group/**/cache or group/project';

test('the least configuration gives every default', () => {
  const env = environment();
  const { config } = inspectConfig(env, { hostname: () => 'edge 1.example', cwd: () => '/' });
  expect(config).toEqual({
    listen: { host: '127.0.0.1', port: 5080 },
    adminListen: { host: '127.0.0.1', port: 5081 },
    siteName: 'edge-1.example',
    primaryUrl: new URL('https://registry.example.com:5050/'),
    secondaryUrl: new URL('http://127.0.0.1:5000/'),
    redirectHosts: [],
    pushHost: 'registry.example.com:5050',
    keyFile: env['GEO_KEY_FILE'],
    primaryAuth: 'key',
    secondaryAuth: 'key',
    clientAuth: 'token',
    tokenRealm: 'https://gitlab.example.com/jwt/auth',
    tokenService: 'container_registry',
    tokenIssuer: 'omnibus-gitlab-issuer',
    tokenKeyId: 'libtrust',
    dataDir: env['GEO_DATA_DIR'],
    spoolMax: 20 * 2 ** 30,
    memoryCache: 64 * 2 ** 20,
    tagTtl: 0,
    primaryTimeout: 5000,
    fetchConnections: 16,
    blobMax: 200 * 1024 ** 3,
    blobDelivery: 'stream',
    secondaryRedirect: 'pass',
    store: true,
    replicationInclude: [],
    replicationExclude: [],
    replication: true,
    replicationConcurrency: 4,
    reconcileInterval: 3_600_000,
    verifyInterval: 86_400_000,
    removalLimit: 0.2,
    trustedProxies: ['loopback'],
    shutdownTimeout: 30_000,
    logLevel: 'info',
    warnings: [],
  });
});

const right: [string, string, keyof Config, unknown][] = [
  ['GEO_LISTEN', '0.0.0.0:80', 'listen', { host: '0.0.0.0', port: 80 }],
  ['GEO_LISTEN', '[::1]:5080', 'listen', { host: '::1', port: 5080 }],
  ['GEO_LISTEN', ':0', 'listen', { host: '::', port: 0 }],
  ['GEO_LISTEN', ' localhost:65535 ', 'listen', { host: 'localhost', port: 65_535 }],
  ['GEO_ADMIN_LISTEN', '127.8.0.1:1', 'adminListen', { host: '127.8.0.1', port: 1 }],
  ['GEO_ADMIN_LISTEN', '[::1]:1', 'adminListen', { host: '::1', port: 1 }],
  ['GEO_ADMIN_LISTEN', 'localhost:1', 'adminListen', { host: 'localhost', port: 1 }],
  ['GEO_ADMIN_TOKEN', 'c2VjcmV0Cg==', 'adminToken', 'c2VjcmV0Cg=='],
  ['GEO_SITE_NAME', 'tokyo_2', 'siteName', 'tokyo_2'],
  ['GEO_PRIMARY_URL', 'http://primary/', 'primaryUrl', new URL('http://primary')],
  ['GEO_SECONDARY_URL', 'HTTPS://[::1]:5000', 'secondaryUrl', new URL('https://[::1]:5000')],
  [
    'GEO_REDIRECT_HOSTS',
    'MinIO.example.com:9000, *.Example.org,127.0.0.1,[::1]:9000,localhost.',
    'redirectHosts',
    [
      { host: 'minio.example.com', port: 9000 },
      { host: '*.example.org', port: undefined },
      { host: '127.0.0.1', port: undefined },
      { host: '::1', port: 9000 },
      { host: 'localhost', port: undefined },
    ],
  ],
  ['GEO_PUSH_HOST', 'push.example.com', 'pushHost', 'push.example.com'],
  ['GEO_PRIMARY_AUTH', 'docker-config', 'primaryAuth', 'docker-config'],
  ['GEO_SECONDARY_AUTH', 'none', 'secondaryAuth', 'none'],
  ['GEO_CLIENT_AUTH', 'none', 'clientAuth', 'none'],
  ['GEO_TOKEN_REALM', 'http://localhost:1/token?x=y', 'tokenRealm', 'http://localhost:1/token?x=y'],
  ['GEO_TOKEN_SERVICE', 'Docker registry', 'tokenService', 'Docker registry'],
  ['GEO_TOKEN_ISSUER', 'gitlab-issuer', 'tokenIssuer', 'gitlab-issuer'],
  ['GEO_TOKEN_KEY_ID', 'rfc7638', 'tokenKeyId', 'rfc7638'],
  ['GEO_SPOOL_MAX', '1GB', 'spoolMax', 1e9],
  ['GEO_SPOOL_MAX', '512 kib', 'spoolMax', 512 * 1024],
  ['GEO_SPOOL_MAX', '2TiB', 'spoolMax', 2 * 2 ** 40],
  ['GEO_MEMORY_CACHE', '4096', 'memoryCache', 4096],
  ['GEO_MEMORY_CACHE', '64MiB', 'memoryCache', 64 * 2 ** 20],
  ['GEO_TAG_TTL', '0', 'tagTtl', 0],
  ['GEO_TAG_TTL', '500ms', 'tagTtl', 500],
  ['GEO_PRIMARY_TIMEOUT', '30s', 'primaryTimeout', 30_000],
  ['GEO_PRIMARY_TIMEOUT', '5m', 'primaryTimeout', 300_000],
  ['GEO_SHUTDOWN_TIMEOUT', '1h', 'shutdownTimeout', 3_600_000],
  ['GEO_FETCH_CONNECTIONS', '8', 'fetchConnections', 8],
  ['GEO_REPLICATION_BANDWIDTH', '10MiB', 'replicationBandwidth', 10 * 2 ** 20],
  ['GEO_REPLICATION_BANDWIDTH', '', 'replicationBandwidth', undefined],
  ['GEO_BLOB_DELIVERY', 'accel-proxy', 'blobDelivery', 'accel-proxy'],
  ['GEO_SECONDARY_REDIRECT', 'stream', 'secondaryRedirect', 'stream'],
  ['GEO_STORE', 'off', 'store', false],
  ['GEO_REPLICATION_INCLUDE', 'group, other/*,,a/b/**', 'replicationInclude', ['group', 'other/*', 'a/b/**']],
  ['GEO_REPLICATION_EXCLUDE', 'group/', 'replicationExclude', ['group/']],
  [
    'GEO_TRUSTED_PROXIES',
    'loopback,uniquelocal, 192.0.2.1 ,10.0.0.0/8,2001:db8::/32',
    'trustedProxies',
    ['loopback', 'uniquelocal', '192.0.2.1', '10.0.0.0/8', '2001:db8::/32'],
  ],
  ['GEO_LOG_LEVEL', 'trace', 'logLevel', 'trace'],
];

test.each(right)('%s=%s is accepted', (name, text, property, value) => {
  expect(inspectConfig({ ...environment(), [name]: text }).config[property]).toEqual(value);
});

const wrong: [string, string, string][] = [
  ['GEO_LISTEN', '5080', `"5080" is only a number; allowed: ${LISTEN}`],
  ['GEO_LISTEN', 'localhost', `"localhost" has no port; allowed: ${LISTEN}`],
  ['GEO_LISTEN', 'localhost:65536', `"localhost:65536" has a port over 65535; allowed: ${LISTEN}`],
  ['GEO_LISTEN', '::1', `"::1" lacks brackets around IPv6; allowed: ${LISTEN}`],
  ['GEO_LISTEN', '[x]:1', `"[x]:1" has no IPv6 address in its brackets; allowed: ${LISTEN}`],
  ['GEO_LISTEN', '127.0.0.300:1', `"127.0.0.300:1" has no valid host; allowed: ${LISTEN}`],
  ['GEO_LISTEN', 'http://localhost:80', `"http://localhost:80" is not host:port; allowed: ${LISTEN}`],
  ['GEO_ADMIN_LISTEN', '127.0.0.1:5080', '"127.0.0.1:5080" is GEO_LISTEN too; allowed: another address or port'],
  [
    'GEO_ADMIN_TOKEN',
    'two words',
    'the given value cannot be sent as a Bearer token; allowed: 8 or more letters, digits and -._~+/=',
  ],
  ['GEO_ADMIN_TOKEN', 's3cret=', 'the given value is too short; allowed: 8 or more letters, digits and -._~+/='],
  ['GEO_SITE_NAME', 'Köln', `"Köln" cannot stand in a header; allowed: ${LABEL}`],
  ['GEO_SITE_NAME', 'x'.repeat(65), `"${'x'.repeat(65)}" cannot stand in a header; allowed: ${LABEL}`],
  ['GEO_PRIMARY_URL', 'registry.example.com:5050', `"registry.example.com:5050" has no scheme; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'ftp://registry', `"ftp://registry" is neither http nor https; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'https://registry/v2/', `"https://registry/v2/" has a path; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'https://registry/?', `"https://registry/?***" has a query; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'https://registry/?token=abc', `"https://registry/?***" has a query; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'https://registry/#', `"https://registry/#" has a fragment; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'https://user:pass@registry', `"https://***@registry" holds credentials; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'https://', `"https://" is not a URL; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'https:///registry', `"https:///registry" is not a URL; allowed: ${URLS}`],
  ['GEO_PRIMARY_URL', 'https://regi\nstry', `"https://regi\\nstry" is not a URL; allowed: ${URLS}`],
  ['GEO_SECONDARY_URL', 'localhost:5000', `"localhost:5000" has no scheme; allowed: ${URLS}`],
  [
    'GEO_SECONDARY_URL',
    'https://registry.example.com:5050/',
    '"https://registry.example.com:5050/" is GEO_PRIMARY_URL too; allowed: the URL of another registry',
  ],
  ['GEO_REDIRECT_HOSTS', 'a,http://b', `"http://b" is a URL, not a host; allowed: ${HOSTS}`],
  ['GEO_REDIRECT_HOSTS', '*', `"*" has no valid host; allowed: ${HOSTS}`],
  ['GEO_REDIRECT_HOSTS', 'a.*.b', `"a.*.b" has no valid host; allowed: ${HOSTS}`],
  ['GEO_REDIRECT_HOSTS', '*.0.0.1', `"*.0.0.1" has no valid host; allowed: ${HOSTS}`],
  ['GEO_REDIRECT_HOSTS', '*.127.0.0.1', `"*.127.0.0.1" has a star before an address; allowed: ${HOSTS}`],
  ['GEO_REDIRECT_HOSTS', '10.0.0.0/8', `"10.0.0.0/8" has no valid host; allowed: ${HOSTS}`],
  ['GEO_REDIRECT_HOSTS', '::1', `"::1" lacks brackets around IPv6; allowed: ${HOSTS}`],
  ['GEO_PUSH_HOST', 'https://push', `"https://push" is a URL, not a host; allowed: ${HOST}`],
  ['GEO_PUSH_HOST', ':5050', `":5050" has no host; allowed: ${HOST}`],
  ['GEO_PUSH_HOST', 'push/group', `"push/group" has no valid host; allowed: ${HOST}`],
  ['GEO_KEY_FILE', '-----BEGIN RSA PRIVATE KEY-----\nMII', `a PEM text is not a path; allowed: ${KEYS}`],
  ['GEO_PRIMARY_AUTH', 'basic', '"basic" is not known; allowed: key, docker-config or none'],
  ['GEO_SECONDARY_AUTH', 'Key', '"Key" is not known; allowed: key, docker-config or none'],
  ['GEO_CLIENT_AUTH', 'off', '"off" is not known; allowed: token or none'],
  ['GEO_TOKEN_REALM', '/jwt/auth', `"/jwt/auth" has no scheme; allowed: ${REALM}`],
  ['GEO_TOKEN_REALM', 'ldap://gitlab/jwt', `"ldap://gitlab/jwt" is neither http nor https; allowed: ${REALM}`],
  ['GEO_TOKEN_REALM', 'https://u:p@gitlab/jwt', `"https://***@gitlab/jwt" holds credentials; allowed: ${REALM}`],
  ['GEO_TOKEN_REALM', 'https://gitlab/"', `"https://gitlab/\\"" cannot stand in a challenge; allowed: ${REALM}`],
  ['GEO_TOKEN_SERVICE', 'a"b', `"a\\"b" cannot stand in a challenge; allowed: ${QUOTABLE}`],
  ['GEO_TOKEN_ISSUER', 'ä', `"ä" cannot stand in a challenge; allowed: ${QUOTABLE}`],
  ['GEO_TOKEN_KEY_ID', 'kid', '"kid" is not known; allowed: libtrust, rfc7638 or x5c'],
  ['GEO_SPOOL_MAX', '64M', `"64M" is not a size; allowed: ${SIZE}`],
  ['GEO_SPOOL_MAX', '-1', `"-1" is not a size; allowed: ${SIZE}`],
  ['GEO_SPOOL_MAX', '9999999TiB', `"9999999TiB" is too large; allowed: ${SIZE}`],
  ['GEO_MEMORY_CACHE', '1.5GiB', `"1.5GiB" is not a size; allowed: ${SIZE}`],
  ['GEO_TAG_TTL', '5', `"5" is not a duration; allowed: ${DURATION}`],
  ['GEO_TAG_TTL', '30 sec', `"30 sec" is not a duration; allowed: ${DURATION}`],
  ['GEO_TAG_TTL', '597h', `"597h" is too long; allowed: ${DURATION}`],
  ['GEO_PRIMARY_TIMEOUT', '0s', `"0s" is no time at all; allowed: ${TIMEOUT}`],
  ['GEO_SHUTDOWN_TIMEOUT', 'soon', `"soon" is not a duration; allowed: ${DURATION}`],
  ['GEO_FETCH_CONNECTIONS', '7', '"7" is out of range; allowed: a whole number from 8 to 1024'],
  ['GEO_FETCH_CONNECTIONS', 'many', '"many" is not a whole number; allowed: a whole number from 8 to 1024'],
  ['GEO_REPLICATION_BANDWIDTH', '0', `"0" is too little; allowed: ${BANDWIDTH}`],
  ['GEO_REPLICATION_BANDWIDTH', '10Mbit', `"10Mbit" is not a size; allowed: ${BANDWIDTH}`],
  ['GEO_SECONDARY_REDIRECT', 'follow', '"follow" is not known; allowed: pass or stream'],
  ['GEO_STORE', 'yes', '"yes" is not known; allowed: on or off'],
  ['GEO_REPLICATION_INCLUDE', 'ok,Grp/*', `"Grp/*" has upper case, which no repository has; allowed: ${GLOBS}`],
  ['GEO_REPLICATION_INCLUDE', ',', `"," names no repository; allowed: ${GLOBS}`],
  [
    'GEO_REPLICATION_EXCLUDE',
    'a'.repeat(513),
    `"${'a'.repeat(100)}…" is longer than 512 characters; allowed: ${GLOBS}`,
  ],
  ['GEO_REPLICATION_INCLUDE', '/a', `"/a" has an empty segment; allowed: ${GLOBS}`],
  ['GEO_REPLICATION_EXCLUDE', 'a/b**', `"a/b**" has ** within a segment; allowed: ${GLOBS}`],
  ['GEO_REPLICATION_EXCLUDE', '!a', `"!a" has characters that no repository has; allowed: ${GLOBS}`],
  ['GEO_TRUSTED_PROXIES', 'loopback,10.0.0.0/33', `"10.0.0.0/33" is no address or network; allowed: ${PROXIES}`],
  ['GEO_TRUSTED_PROXIES', '0.0.0.0/0', `"0.0.0.0/0" is no address or network; allowed: ${PROXIES}`],
  ['GEO_TRUSTED_PROXIES', 'nginx', `"nginx" is no address or network; allowed: ${PROXIES}`],
  ['GEO_LOG_LEVEL', 'verbose', '"verbose" is not known; allowed: trace, debug, info, warn, error, fatal or silent'],
];

test.each(wrong)('%s=%s is refused with its line', (name, text, line) => {
  expect(problems({ ...environment(), [name]: text })).toEqual([`${name}: ${line}`]);
});

const missing: [string, NodeJS.ProcessEnv, string][] = [
  ['GEO_PRIMARY_URL', {}, `GEO_PRIMARY_URL: not set; allowed: ${URLS}`],
  ['GEO_SECONDARY_URL', {}, `GEO_SECONDARY_URL: not set; allowed: ${URLS}`],
  ['GEO_TOKEN_REALM', {}, `GEO_TOKEN_REALM: not set, and required because GEO_CLIENT_AUTH is token; allowed: ${REALM}`],
  ['GEO_KEY_FILE', {}, `GEO_KEY_FILE: not set, and required because GEO_PRIMARY_AUTH is key; allowed: ${KEYS}`],
  [
    'GEO_KEY_FILE',
    { GEO_PRIMARY_AUTH: 'none' },
    `GEO_KEY_FILE: not set, and required because GEO_SECONDARY_AUTH is key; allowed: ${KEYS}`,
  ],
  [
    'GEO_KEY_FILE',
    { GEO_PRIMARY_AUTH: 'none', GEO_SECONDARY_AUTH: 'docker-config' },
    `GEO_KEY_FILE: not set, and required because GEO_CLIENT_AUTH is token without GEO_CERT_FILE; allowed: ${KEYS}`,
  ],
  [
    'GEO_CERT_FILE',
    { GEO_TOKEN_KEY_ID: 'x5c' },
    'GEO_CERT_FILE: not set, and required because GEO_TOKEN_KEY_ID is x5c; allowed: a file with PEM certificates or public keys',
  ],
  [
    'GEO_ADMIN_TOKEN',
    { GEO_ADMIN_LISTEN: '0.0.0.0:5081' },
    'GEO_ADMIN_TOKEN: not set, and required because GEO_ADMIN_LISTEN, 0.0.0.0:5081, is not loopback; allowed: 8 or more letters, digits and -._~+/=',
  ],
  [
    'GEO_ADMIN_TOKEN',
    { GEO_ADMIN_LISTEN: ':5081' },
    'GEO_ADMIN_TOKEN: not set, and required because GEO_ADMIN_LISTEN, [::]:5081, is not loopback; allowed: 8 or more letters, digits and -._~+/=',
  ],
];

test.each(missing)('%s is required with %o', (name, changes, line) => {
  expect(problems({ ...environment(), ...changes, [name]: undefined })).toEqual([line]);
});

test('an empty variable is one that is not set', () => {
  const env = { ...environment(), GEO_TAG_TTL: '', GEO_PRIMARY_URL: ' ' };
  expect(problems(env)).toEqual([`GEO_PRIMARY_URL: not set; allowed: ${URLS}`]);
});

test('neither key nor realm is required where nobody needs them', () => {
  const { GEO_PRIMARY_URL, GEO_SECONDARY_URL, GEO_DATA_DIR } = environment();
  const open = { GEO_CLIENT_AUTH: 'none', GEO_PRIMARY_AUTH: 'none', GEO_SECONDARY_AUTH: 'none' };
  expect(problems({ GEO_PRIMARY_URL, GEO_SECONDARY_URL, GEO_DATA_DIR, ...open })).toEqual([]);
});

test('a wrong certificate file is not one that is not set', () => {
  const { GEO_KEY_FILE: _, ...env } = environment();
  const changes = { GEO_PRIMARY_AUTH: 'none', GEO_SECONDARY_AUTH: 'none', GEO_CERT_FILE: '/nowhere/certificate' };
  expect(problems({ ...env, ...changes })).toEqual([expect.stringMatching(/^GEO_CERT_FILE: /)]);
});

test('every wrong variable has its line, in the order of the table', () => {
  const env = { ...environment(), GEO_LOG_LEVEL: 'x', GEO_STORE: 'x', GEO_LISTEN: 'x', GEO_SECONDARY_URL: undefined };
  const names = problems(env).map((line) => line.split(':')[0]);
  expect(names).toEqual(['GEO_LISTEN', 'GEO_SECONDARY_URL', 'GEO_STORE', 'GEO_LOG_LEVEL']);
});

test('the message of the error is its lines', () => {
  const env = { ...environment(), GEO_STORE: 'x', GEO_LOG_LEVEL: 'x' };
  expect(() => inspectConfig(env)).toThrow(ConfigError);
  expect(() => inspectConfig(env)).toThrow(problems(env).join('\n'));
});

test('settings tell what was given and what is a default', () => {
  const { settings } = inspectConfig({ ...environment(), GEO_TAG_TTL: '5m' });
  expect(settings).toContainEqual({ name: 'GEO_TAG_TTL', value: '5m', source: 'environment' });
  expect(settings).toContainEqual({ name: 'GEO_PRIMARY_TIMEOUT', value: '5s', source: 'default' });
  expect(settings).toContainEqual({ name: 'GEO_CA_FILE', value: undefined, source: 'default' });
});
