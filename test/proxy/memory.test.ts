// What clients and registries send costs no more memory than is declared (lib/memories.ts).
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { MANIFEST } from '../../src/oci/media-types.ts';
import { parsePath } from '../../src/oci/path.ts';
import { accepts } from '../../src/proxy/accept.ts';
import { createMemory } from '../../src/proxy/memory.ts';
import { heldBytes } from '../support/heap.ts';

const MiB = 1024 * 1024;

function digest(): `sha256:${string}` {
  return `sha256:${randomBytes(32).toString('hex')}`;
}

test('Accept headers of 60 KB, each another, are not remembered', () => {
  const before = heldBytes();
  for (let index = 0; index < 256; index += 1) {
    const types = Array.from({ length: 4_000 }, (_, type) => `application/${index}-${type}`.slice(0, 15));
    expect(accepts(types.join(), MANIFEST.ociManifest)).toBe(false);
  }
  expect(heldBytes() - before).toBeLessThan(MiB);
});

test('Accept headers of 4 KB, each another, are remembered within the bound', () => {
  const before = heldBytes();
  for (let index = 0; index < 4_000; index += 1) {
    accepts(`text/${index}, `.padEnd(4_000, `x/${index},`), MANIFEST.ociManifest);
  }
  expect(heldBytes() - before).toBeLessThan(2 * MiB);
});

// Node 24 keeps all of a text for a part of it; Node 26.10 copies the part.
test('a digest that is remembered does not bring the query of its URL along', () => {
  const memory = createMemory(MiB);
  const before = heldBytes();
  for (let index = 0; index < 1_000; index += 1) {
    const path = parsePath(`/v2/group/project/blobs/${digest()}?${randomBytes(30_000).toString('hex')}`);
    if (path.kind === 'blob') memory.learnSize(path.digest, index);
  }
  expect(heldBytes() - before).toBeLessThan(4 * MiB);
  expect(memory).toBeDefined();
});

test('small manifests take what they are counted for', () => {
  const memory = createMemory(8 * MiB);
  const before = heldBytes();
  for (let index = 0; index < 10_000; index += 1) {
    // A part of a larger buffer, as what was read from a socket is.
    const bytes = Buffer.concat([Buffer.from(JSON.stringify({ index }))]);
    Buffer.allocUnsafe(4_000);
    memory.remember('a', { mediaType: MANIFEST.ociManifest, digest: digestOf(bytes), bytes }, true);
  }
  expect(heldBytes() - before).toBeLessThan(8 * MiB * 1.2);
  expect(memory).toBeDefined();
});

test('manifests of very many layers take what they are counted for, and their blobs’ sizes are remembered', () => {
  const memory = createMemory(8 * MiB);
  const before = heldBytes();
  const layers = Array.from({ length: 10_000 }, (_, size) => ({ digest: digest(), size }));
  for (let index = 0; index < 20; index += 1) {
    const bytes = Buffer.from(JSON.stringify({ index, layers }));
    memory.remember('a', { mediaType: MANIFEST.ociManifest, digest: digestOf(bytes), bytes }, true);
  }
  expect(heldBytes() - before).toBeLessThan(8 * MiB * 1.2 + 10_000 * 512);
  expect(memory.sizeOf(layers[9_999]!.digest)).toBe(9_999);
});
