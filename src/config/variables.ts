// The one declaration of every variable, in the order of the table: type, default, name and help come from here.
import { listenAddress, realmUrl, registryHost, registryUrl, trustedProxies } from './address.ts';
import {
  sameListener,
  adminIsReachable,
  sameRegistry,
  keyIsNeeded,
  noCertificateOfKey,
  openToAll,
  plainPrimary,
  plainRealm,
} from './conditions.ts';
import { registryRoot, writableDirectory } from './directory.ts';
import { repositoryGlobs } from './glob.ts';
import { hostPatterns } from './host-pattern.ts';
import { authoritiesFile, certificatesFile, privateKeyFile } from './pem-file.ts';
import { eventTokens, percentage, readableFile } from './replication-value.ts';
import { bandwidth, bearerSecret, choice, duration, integer, label, onOff, quotable, size } from './value.ts';
import type { Variable } from './variable.ts';

/** Every variable that works, keyed by its property of the configuration. */
export const variables = {
  listen: {
    name: 'GEO_LISTEN',
    default: '127.0.0.1:5080',
    help: 'where nginx or the ingress reaches the proxy; also the webhook',
    value: listenAddress,
  },
  adminListen: {
    name: 'GEO_ADMIN_LISTEN',
    default: '127.0.0.1:5081',
    help: 'status page, admin API, `/metrics`, `/healthz`, `/readyz`',
    value: listenAddress,
    conflict: sameListener,
  },
  adminToken: {
    name: 'GEO_ADMIN_TOKEN',
    requiredWhen: adminIsReachable,
    shown: 'required for an admin listener on other than loopback',
    help: 'what admin requests carry as `Authorization: Bearer`; `/healthz` and `/readyz` stay open, without detail',
    value: bearerSecret,
    secret: true,
  },
  siteName: {
    name: 'GEO_SITE_NAME',
    derived: (_, { hostname }) =>
      hostname()
        .replaceAll(/[^\w.-]/g, '-')
        .slice(0, 64),
    shown: 'host name',
    help: "in the page's title, the metrics (`site`), the log, `Via`",
    value: label,
  },
  primaryUrl: {
    name: 'GEO_PRIMARY_URL',
    required: true,
    help: 'the primary registry (GitLab: `geo_registry_replication_primary_api_url`)',
    value: registryUrl,
    warn: plainPrimary,
  },
  secondaryUrl: {
    name: 'GEO_SECONDARY_URL',
    required: true,
    help: 'the local registry',
    value: registryUrl,
    conflict: sameRegistry,
  },
  redirectHosts: {
    name: 'GEO_REDIRECT_HOSTS',
    default: '',
    shown: 'none',
    help: 'hosts that a registry may redirect us to although they are loopback or link-local: `host`, `host:port` or `*.domain`, separated by commas; all other hosts, those of private networks among them, need no entry',
    value: hostPatterns,
  },
  pushHost: {
    name: 'GEO_PUSH_HOST',
    derived: ({ primaryUrl }) => primaryUrl?.host,
    shown: 'host of `GEO_PRIMARY_URL`',
    help: 'what a refused push tells people to use',
    value: registryHost,
  },
  keyFile: {
    name: 'GEO_KEY_FILE',
    requiredWhen: keyIsNeeded,
    shown: 'required for `key`, and for `token` without `GEO_CERT_FILE`',
    help: '`gitlab-registry.key`: the one private key of all the sites',
    value: privateKeyFile,
  },
  primaryAuth: {
    name: 'GEO_PRIMARY_AUTH',
    default: 'key',
    help: 'how the proxy authenticates to the primary: `key` (mints a JWT), `docker-config` (a Docker `config.json` and its credential helpers), `none`',
    value: choice('key', 'docker-config', 'none'),
  },
  secondaryAuth: {
    name: 'GEO_SECONDARY_AUTH',
    default: 'key',
    help: 'how the proxy authenticates to the local registry: `key`, `docker-config`, `none`',
    value: choice('key', 'docker-config', 'none'),
  },
  clientAuth: {
    name: 'GEO_CLIENT_AUTH',
    default: 'token',
    help: 'how clients authenticate: `token` (a JWT, checked here) or `none` (a trusted network)',
    value: choice('token', 'none'),
    warn: openToAll,
  },
  tokenRealm: {
    name: 'GEO_TOKEN_REALM',
    requiredWhen: ({ clientAuth }) => (clientAuth === 'token' ? 'GEO_CLIENT_AUTH is token' : undefined),
    shown: 'required for `token`',
    help: 'the realm that the local registry sends already: `https://gitlab.example.com/jwt/auth`',
    value: realmUrl,
    warn: plainRealm,
  },
  tokenService: {
    name: 'GEO_TOKEN_SERVICE',
    default: 'container_registry',
    help: 'audience of tokens',
    value: quotable,
  },
  tokenIssuer: {
    name: 'GEO_TOKEN_ISSUER',
    default: 'omnibus-gitlab-issuer',
    help: 'issuer of tokens (charts and source installations: `gitlab-issuer`)',
    value: quotable,
  },
  certFile: {
    name: 'GEO_CERT_FILE',
    requiredWhen: ({ tokenKeyId }) => (tokenKeyId === 'x5c' ? 'GEO_TOKEN_KEY_ID is x5c' : undefined),
    shown: 'public half of the key',
    help: "what the registry calls `rootcertbundle`: PEM certificates or keys that may have signed a client's token",
    value: certificatesFile,
    conflict: noCertificateOfKey,
  },
  tokenKeyId: {
    name: 'GEO_TOKEN_KEY_ID',
    default: 'libtrust',
    help: 'how minted tokens name their key: `libtrust` (Distribution 2.8, GitLab), `rfc7638` (Distribution 3), `x5c` (both; needs `GEO_CERT_FILE`)',
    value: choice('libtrust', 'rfc7638', 'x5c'),
  },
  caFile: {
    name: 'GEO_CA_FILE',
    shown: "the system's roots",
    help: "more certificate authorities for both registries' TLS",
    value: authoritiesFile,
  },
  eventsToken: {
    name: 'GEO_EVENTS_TOKEN',
    shown: 'no webhook without it',
    help: "the `Authorization` header of the primary's notifications; two, separated by a comma, while it is changed",
    value: eventTokens,
    secret: true,
  },
  dataDir: {
    name: 'GEO_DATA_DIR',
    default: './data',
    help: 'the spool, and what else must survive a restart',
    value: writableDirectory,
  },
  spoolMax: {
    name: 'GEO_SPOOL_MAX',
    default: '20GiB',
    help: 'most that fills may hold on disk',
    value: size,
  },
  blobMax: {
    name: 'GEO_BLOB_MAX',
    // The largest layer that a public registry takes (Azure's).
    default: '200GiB',
    help: 'most that is taken of one blob of the primary: a larger one is refused, and one whose size nothing tells ends there',
    value: size,
  },
  memoryCache: {
    name: 'GEO_MEMORY_CACHE',
    default: '64MiB',
    help: 'manifests kept in memory',
    value: size,
  },
  tagTtl: {
    name: 'GEO_TAG_TTL',
    default: '0s',
    help: 'how long a tag looked up at the primary is believed; 0: ask for every pull',
    value: duration({ zero: true }),
  },
  primaryTimeout: {
    name: 'GEO_PRIMARY_TIMEOUT',
    default: '5s',
    help: "to the headers of a primary's answer on a client's behalf",
    value: duration({ zero: false }),
  },
  fetchConnections: {
    name: 'GEO_FETCH_CONNECTIONS',
    default: '16',
    help: 'connections to the primary in all: 6 for look-ups, and half of the others reserved for on-demand',
    value: integer(8, 1024),
  },
  blobDelivery: {
    name: 'GEO_BLOB_DELIVERY',
    default: 'stream',
    help: "who moves a local blob's bytes: `stream` (the proxy), `accel-proxy` (nginx, from the local registry) or `accel-file` (nginx, from the registry's files); the last two need `nginx/registry-accel.conf`",
    value: choice('stream', 'accel-proxy', 'accel-file'),
  },
  secondaryRoot: {
    name: 'GEO_SECONDARY_ROOT',
    requiredWhen: ({ blobDelivery }) => (blobDelivery === 'accel-file' ? 'GEO_BLOB_DELIVERY is accel-file' : undefined),
    shown: 'none',
    help: "the local registry's filesystem storage root (`rootdirectory`): local blobs are read from there and not asked of the registry",
    value: registryRoot,
  },
  secondaryRedirect: {
    name: 'GEO_SECONDARY_REDIRECT',
    default: 'pass',
    help: 'what clients get of a blob that the local registry redirects to its object storage: `pass` (the redirect) or `stream` (the bytes, for clients that do not reach the storage)',
    value: choice('pass', 'stream'),
  },
  store: {
    name: 'GEO_STORE',
    default: 'on',
    help: '`off`: the secondary is never written to (both registries share one storage)',
    value: onOff,
  },
  replication: {
    name: 'GEO_REPLICATION',
    default: 'on',
    help: '`off` where another system replicates (GitLab Geo itself, say): what clients pull is still stored; nothing is removed',
    value: onOff,
  },
  replicationInclude: {
    name: 'GEO_REPLICATION_INCLUDE',
    default: '',
    shown: 'all',
    help: 'repositories to store: globs separated by commas; `group` and `group/**` are all below it, `group/*` one level, `group/project` only that',
    value: repositoryGlobs,
  },
  replicationExclude: {
    name: 'GEO_REPLICATION_EXCLUDE',
    default: '',
    shown: 'none',
    help: 'repositories that are served but never stored, in the same form; it wins over `GEO_REPLICATION_INCLUDE`',
    value: repositoryGlobs,
  },
  replicationConcurrency: {
    name: 'GEO_REPLICATION_CONCURRENCY',
    default: '4',
    help: 'replication jobs at once',
    value: integer(1, 256),
  },
  replicationBandwidth: {
    name: 'GEO_REPLICATION_BANDWIDTH',
    shown: 'no limit',
    help: 'bytes a second for what comes from the primary in the background, such as `10MiB`; clients are not slowed, and come first',
    value: bandwidth,
  },
  reconcileInterval: {
    name: 'GEO_RECONCILE_INTERVAL',
    default: '1h',
    help: 'how often primary and secondary are compared, to catch lost events',
    value: duration({ zero: false }),
  },
  verifyInterval: {
    name: 'GEO_VERIFY_INTERVAL',
    default: '24h',
    help: "how often all that is in the secondary is verified; each blob's bytes are read and hashed once in 30 days",
    value: duration({ zero: false }),
  },
  repositoriesFile: {
    name: 'GEO_REPOSITORIES_FILE',
    shown: 'none',
    help: 'one repository a line, for a primary without a catalog',
    value: readableFile,
  },
  removalLimit: {
    name: 'GEO_REMOVAL_LIMIT',
    default: '20%',
    help: "most of a site's tags that may be removed in any 24 h, whatever queued it (at least 10 tags; with `0%` none), before a person confirms",
    value: percentage,
  },
  trustedProxies: {
    name: 'GEO_TRUSTED_PROXIES',
    default: 'loopback',
    help: 'whose `X-Forwarded-*`, and whose offer to deliver blobs, are believed: `loopback`, `uniquelocal`, addresses and networks, separated by commas',
    value: trustedProxies,
  },
  shutdownTimeout: {
    name: 'GEO_SHUTDOWN_TIMEOUT',
    default: '30s',
    help: 'how long open transfers may finish',
    value: duration({ zero: true }),
  },
  logLevel: {
    name: 'GEO_LOG_LEVEL',
    default: 'info',
    help: '`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`; JSON lines, readable when the output is a terminal',
    value: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  },
} as const satisfies Record<string, Variable>;

/** Names that the documentation of later versions knows: set here, they are no typing errors. */
export const laterNames: readonly string[] = ['GEO_DATABASE_URL', 'GEO_DATABASE_URL_FILE'];
