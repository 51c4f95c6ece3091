// The one declaration of all caches: what each holds, and its bound in bytes. docs/design/limits.md shows it.

/** One cache. */
export interface MemoryDeclaration {
  readonly holds: string;
  /** Bytes, with keys and the map's own entries. */
  readonly maxBytes: number;
  /** The variable that overrides `maxBytes`. */
  readonly variable?: string;
}

const MiB = 1024 * 1024;

/** Every cache that grows with what clients, registries or events send. */
export const MEMORIES = {
  manifests: {
    holds: 'manifests by repository and digest, for 60 s',
    maxBytes: 64 * MiB,
    variable: 'GEO_MEMORY_CACHE',
  },
  accepts: { holds: "clients' `Accept` headers, none over 4 KiB", maxBytes: MiB },
  clientTokens: { holds: "clients' tokens that were found good, by their hash", maxBytes: 32 * MiB },
  ownTokens: { holds: 'own tokens by scope, until a minute before they end, each registry', maxBytes: 16 * MiB },
  serviceTokens: { holds: "token services' tokens by scope (`docker-config`), each registry", maxBytes: 16 * MiB },
  askedScopes: {
    holds: 'scopes that a registry asked for in addition (`docker-config`), each registry',
    maxBytes: MiB,
  },
  credentials: { holds: 'credential files and what credential helpers answered, each', maxBytes: MiB },
  tags: {
    holds: 'tags as the primary last answered, for `GEO_TAG_TTL`, or a minute to be confirmed',
    maxBytes: 32 * MiB,
  },
  forgottenTags: { holds: 'repositories whose tags events have named as a whole', maxBytes: 4 * MiB },
  comparedTags: {
    holds: 'tags that were compared with the secondary, for 10 minutes, or 10 s where they were queued',
    maxBytes: 32 * MiB,
  },
  claimedSizes: { holds: 'sizes of blobs as manifests give them', maxBytes: 24 * MiB },
  provenSizes: { holds: 'sizes of blobs that their bytes or the primary have proved', maxBytes: 24 * MiB },
  readBlobs: { holds: 'local blobs that were read whole', maxBytes: 24 * MiB },
  unservedBlobs: { holds: 'damaged local blobs, for pulls', maxBytes: 24 * MiB },
  storedBlobs: { holds: "blobs that the local registry's storage was seen to have, for a minute", maxBytes: 4 * MiB },
  taggedOnly: { holds: 'digests that the primary gave by tag alone, with the tag', maxBytes: 8 * MiB },
  storages: { holds: 'storages that the local registry redirects to, and those that are away, each', maxBytes: MiB },
  connectors: { holds: 'TLS sessions of hosts that a registry redirected to, each registry', maxBytes: MiB },
  dummies: { holds: 'digests of dummy manifests, never served', maxBytes: 4 * MiB },
  wrongBlobs: { holds: 'digests for which the primary gave wrong bytes, for 10 minutes', maxBytes: 2 * MiB },
  damage: { holds: 'damaged content and its repositories, for replication', maxBytes: 32 * MiB },
  suspects: { holds: 'local blobs that were looked into, for a minute', maxBytes: 4 * MiB },
  unsoundRepositories: { holds: 'repositories that wait for a verification', maxBytes: MiB },
  places: { holds: 'blobs by repository that the database has noted', maxBytes: 32 * MiB },
  checkedManifests: { holds: 'manifests that the running verification has checked', maxBytes: 32 * MiB },
  checkedBlobs: { holds: 'blobs by repository that the running verification has checked', maxBytes: 32 * MiB },
  hashedBlobs: { holds: 'blobs that the running verification has hashed', maxBytes: 24 * MiB },
  takenManifests: { holds: 'repositories whose manifests the secondary took, with how many', maxBytes: MiB },
  refusedManifests: { holds: 'manifests that the secondary refused, with how often', maxBytes: MiB },
  imageFacts: { holds: 'sizes and platforms of images, as lists of the status page show them', maxBytes: 4 * MiB },
  lastPulls: { holds: 'tags and manifests that clients have pulled, with when', maxBytes: 16 * MiB },
  countedDamage: { holds: 'damage that the running verification has counted', maxBytes: 4 * MiB },
  adminSessions: { holds: 'sessions of the status page, for 12 hours', maxBytes: MiB },
  countedRepositories: { holds: 'repositories that the running verification has counted', maxBytes: 16 * MiB },
} as const satisfies Readonly<Record<string, MemoryDeclaration>>;

/** The name of a declared cache. */
export type MemoryName = keyof typeof MEMORIES;
