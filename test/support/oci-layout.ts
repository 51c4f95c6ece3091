// A real image without a network: Debian's static busybox in an OCI layout that skopeo can push.
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { blob, digestOf, type SmallBlob } from './content.ts';
import { descriptor, manifest, type Manifest } from './image.ts';
import { tar } from './tar.ts';

export interface OciLayoutOptions {
  /** The layout's directory; made when it is not there. */
  readonly dir: string;
  /** Text of `/message`, in a layer of its own: another text makes another image that shares the busybox layer. */
  readonly message?: string;
}

export interface OciLayout {
  /** What skopeo copies from: `oci:<dir>:latest`. */
  readonly reference: string;
  readonly manifest: Manifest;
}

const applets = ['sh', 'cat', 'echo', 'ls', 'sleep', 'true', 'uname'];

async function readBusybox(): Promise<Buffer> {
  const root = resolve(import.meta.dirname, '../../.tools/root');
  const file = ['usr/bin/busybox', 'bin/busybox'].map((path) => join(root, path)).find((path) => existsSync(path));
  if (file === undefined) throw new Error('busybox is not in .tools: npm run setup fetches it');
  return readFile(file);
}

interface Layer {
  readonly diffId: string;
  readonly blob: SmallBlob;
}

function layerOf(archive: Buffer): Layer {
  return { diffId: digestOf(archive), blob: blob(gzipSync(archive)) };
}

async function busyboxLayer(): Promise<Layer> {
  const binary = { path: 'bin/busybox', content: await readBusybox(), mode: 0o755 };
  return layerOf(tar([binary, ...applets.map((name) => ({ path: `bin/${name}`, linkTo: 'busybox' }))]));
}

function imageOf(layers: readonly Layer[]): Manifest {
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    // `docker run` prints the message.
    config: { Cmd: ['/bin/cat', '/message'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'geo-registry-proxy' })),
  };
  return manifest({ config: blob(JSON.stringify(config)), layers: layers.map((layer) => layer.blob) });
}

/** Writes an image of busybox and `/message` as an OCI layout (image-layout.md of the image specification). */
export async function createOciLayout({ dir, message = 'hello' }: OciLayoutOptions): Promise<OciLayout> {
  const messageLayer = layerOf(tar([{ path: 'message', content: `${message}\n` }]));
  const image = imageOf([await busyboxLayer(), messageLayer]);
  const blobs = join(dir, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  for (const { digest, bytes } of [...(image.blobs as readonly SmallBlob[]), image]) {
    await writeFile(join(blobs, digest.slice('sha256:'.length)), bytes);
  }
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
  const entry = descriptor(image.mediaType, image, { annotations });
  await writeFile(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  await writeFile(join(dir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return { reference: `oci:${dir}:latest`, manifest: image };
}
