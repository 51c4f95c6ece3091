// Repositories, their rows, and one image.
import type { RowState } from './snapshot.ts';

/** One level of the tree; the counts are of all below a child. */
export interface Group {
  readonly path: string;
  readonly isRepository: boolean;
  readonly hasChildren: boolean;
  readonly tags: Readonly<Record<RowState, number>>;
}

export interface Groups {
  readonly parent: string;
  readonly children: readonly Group[];
  readonly next: string | null;
}

export interface ListedRepository {
  readonly name: string;
  readonly tags: Readonly<Record<RowState, number>>;
  readonly tagged: number;
  readonly verified: number;
  readonly syncedAt: string | null;
}

/** `total` is what matches the query on all pages; null where that is not counted. */
export interface RepositoryPage {
  readonly repositories: readonly ListedRepository[];
  readonly next: string | null;
  readonly total: number | null;
}

/** A tag, a manifest without one (`reference` is a digest), or `*` for all that the repository has. */
export interface ListedRow {
  readonly id: number;
  readonly repository: string;
  readonly reference: string;
  readonly state: RowState;
  readonly attempts: number;
  readonly nextAttemptAt: string | null;
  /** The last error; it stays while the row is tried again. */
  readonly error: string | null;
  readonly primaryDigest: string | null;
  readonly localDigest: string | null;
  readonly markedAt: string;
  readonly syncedAt: string | null;
  readonly verifiedAt: string | null;
  readonly held: boolean;
  readonly confirmed: boolean;
}

export interface RowPage {
  readonly rows: readonly ListedRow[];
  readonly next: number | null;
}

/** A row of `GET /api/repository`. */
export interface ListedTag extends ListedRow {
  readonly lastPulledAt: string | null;
  readonly size: number | null;
  readonly platforms: readonly string[];
}

export interface Repository {
  readonly name: string;
  readonly tags: Readonly<Record<RowState, number>>;
  readonly syncedAt: string | null;
  readonly rows: readonly ListedTag[];
  readonly next: number | null;
}

export interface ImageSide {
  readonly digest: string | null;
  readonly state: 'found' | 'missing' | 'refused' | 'unreachable';
  readonly cause: string | null;
}

export type BlobState = 'here' | 'missing' | 'damaged' | 'unknown';

/** `GET /api/image?repository=…&reference=…`: both registries are asked now. */
export interface Image {
  readonly repository: string;
  readonly reference: string;
  readonly pull: string;
  readonly row: ListedRow | null;
  readonly primary: ImageSide;
  readonly secondary: ImageSide;
  readonly manifest: {
    readonly digest: string;
    readonly mediaType: string;
    readonly size: number;
    readonly json: string;
  } | null;
  readonly platforms: readonly {
    readonly platform: string;
    readonly digest: string;
    readonly size: number | null;
    readonly here: boolean | null;
  }[];
  readonly layers: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly size: number | null;
    readonly local: BlobState;
  }[];
  readonly referrers: readonly {
    readonly digest: string;
    readonly artifactType: string;
    readonly what: string;
    readonly here: boolean | null;
  }[];
}
