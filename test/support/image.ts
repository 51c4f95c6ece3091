// Images, indexes and artifacts of the OCI and Docker formats, built byte by byte.
import { blob, digestOf, type Blob, type SmallBlob } from './content.ts';

export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  schema1: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  buildCacheConfig: 'application/vnd.buildkit.cacheconfig.v0',
} as const;

/** A manifest with all that has to be pushed before it. */
export interface Manifest {
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly digest: string;
  readonly size: number;
  readonly blobs: readonly Blob[];
  readonly children: readonly Manifest[];
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** The descriptor of a blob or a manifest, with more fields if any are given. */
export function descriptor(mediaType: string, content: Blob | Manifest, more: object = {}): Descriptor {
  return { mediaType, digest: content.digest, size: content.size, ...more };
}

/** A manifest of any form: the document's JSON is what is stored. */
export function manifestOf(
  mediaType: string,
  document: object,
  parts: { readonly blobs?: readonly Blob[]; readonly children?: readonly Manifest[] } = {},
): Manifest {
  const { blobs = [], children = [] } = parts;
  const bytes = Buffer.from(JSON.stringify(document, undefined, 2));
  return { mediaType, bytes, digest: digestOf(bytes), size: bytes.length, blobs, children };
}

export interface ImageParts {
  /** The configuration's bytes; a small one that depends on the layers when absent. */
  readonly config?: SmallBlob;
  readonly layers?: readonly Blob[];
  /** More fields of the manifest: `annotations`, `subject`, `artifactType`. */
  readonly more?: object;
  /** The platform that the configuration tells, `amd64` when absent. */
  readonly architecture?: string;
}

function imageOf(kind: 'oci' | 'docker', parts: ImageParts): Manifest {
  const { layers = [blob(2_000, 'layer')], architecture = 'amd64', more = {} } = parts;
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const config = parts.config ?? blob(JSON.stringify({ architecture, os: 'linux', config: {}, rootfs }));
  const document = {
    schemaVersion: 2,
    mediaType: mediaTypes[`${kind}Manifest`],
    config: descriptor(mediaTypes[`${kind}Config`], config),
    layers: layers.map((layer) => descriptor(mediaTypes[`${kind}Layer`], layer)),
    ...more,
  };
  return manifestOf(document.mediaType, document, { blobs: [config, ...layers] });
}

/** An OCI image manifest with its configuration and layers. */
export function manifest(parts: ImageParts = {}): Manifest {
  return imageOf('oci', parts);
}

/** A Docker schema 2 image manifest with its configuration and layers. */
export function dockerManifest(parts: ImageParts = {}): Manifest {
  return imageOf('docker', parts);
}

/** An OCI image with `layers` pseudo-random layers of `size` bytes, different for each seed. */
export function image(seed: string | number, { layers = 3, size = 4_000 } = {}): Manifest {
  return manifest({ layers: Array.from({ length: layers }, (_, nth) => blob(size, `${seed} layer ${nth}`)) });
}

const platforms = ['amd64', 'arm64', 'ppc64le', 's390x', 'riscv64'];

function childrenOf(children: readonly Manifest[]): object[] {
  return children.map((child, nth) =>
    descriptor(child.mediaType, child, { platform: { architecture: platforms[nth % 5], os: 'linux' } }),
  );
}

/** An OCI index of these manifests, one platform each. */
export function index(children: readonly Manifest[], more: object = {}): Manifest {
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: childrenOf(children), ...more };
  return manifestOf(mediaTypes.ociIndex, document, { children });
}

/** A Docker manifest list of these manifests, one platform each. */
export function dockerList(children: readonly Manifest[]): Manifest {
  const document = { schemaVersion: 2, mediaType: mediaTypes.dockerList, manifests: childrenOf(children) };
  return manifestOf(mediaTypes.dockerList, document, { children });
}

/** A BuildKit cache: an index whose entries are blobs, no manifests. */
export function buildCacheIndex(layers: readonly Blob[]): Manifest {
  const config = blob(
    JSON.stringify({ layers: layers.map(({ digest }) => ({ blob: digest, parent: -1 })), records: [] }),
  );
  const entries = layers.map((layer) => descriptor(mediaTypes.ociLayer, layer));
  const manifests = [...entries, descriptor(mediaTypes.buildCacheConfig, config)];
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  return manifestOf(mediaTypes.ociIndex, document, { blobs: [...layers, config] });
}

/** An artifact (a signature, an SBOM) about `subject`: an OCI manifest with an `artifactType`. */
export function artifact(subject: Manifest, artifactType: string, content: SmallBlob): Manifest {
  const empty = blob('{}');
  const document = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType,
    config: descriptor(mediaTypes.ociEmpty, empty),
    layers: [descriptor(artifactType, content)],
    subject: descriptor(subject.mediaType, subject),
  };
  return manifestOf(mediaTypes.ociManifest, document, { blobs: [empty, content] });
}

/** A Windows image, whose layer has URLs; `isElsewhere` leaves that out of what is pushed. */
export function foreignImage(layer: Blob, { isElsewhere = false } = {}): Manifest {
  const config = blob(JSON.stringify({ os: 'windows', rootfs: { type: 'layers', diff_ids: [layer.digest] } }));
  const urls = ['https://layers.example.com/1', 'https://layers.example.com/2'];
  const document = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config: descriptor(mediaTypes.dockerConfig, config),
    layers: [descriptor('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', layer, { urls })],
  };
  return manifestOf(document.mediaType, document, { blobs: isElsewhere ? [config] : [config, layer] });
}
