// Many tags in a registry's filesystem storage, written as Distribution 2 lays them out: pushing them would take minutes.
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../test/support/image.ts';
import { pushImage, type Target } from '../../test/support/push.ts';
import type { Registry } from '../../test/support/registry.ts';

/** One image on many tags of many repositories. */
export interface Tagged {
  readonly image: Manifest;
  readonly repositories: readonly string[];
  /** In each repository. */
  readonly tags: readonly string[];
}

function names(prefix: string, length: number): string[] {
  return Array.from({ length }, (_, nth) => `${prefix}${String(nth).padStart(4, '0')}`);
}

/** Names of `repositories` repositories and of the tags that each of them has, `count` in all. */
export function taggedWith(image: Manifest, group: string, repositories: number, count: number): Tagged {
  return { image, repositories: names(`${group}/`, repositories), tags: names('v1.', count / repositories) };
}

function writeLink(dir: string, digest: string): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'link'), digest);
}

const hexOf = (digest: string): string => digest.replace(':', '/');

/** Pushes the image to the first repository, gives it all the tags, and makes the other repositories its copies. */
export async function writeTags(registry: Registry, targetOf: (name: string) => Target, tagged: Tagged): Promise<void> {
  const { image, repositories, tags } = tagged;
  const [first = '', ...others] = repositories;
  await pushImage(targetOf(first), tags[0], image);
  const placeOf = (name: string): string => join(registry.dir, 'docker/registry/v2/repositories', name);
  for (const tag of tags) {
    const dir = join(placeOf(first), '_manifests/tags', tag);
    writeLink(join(dir, 'current'), image.digest);
    writeLink(join(dir, 'index', hexOf(image.digest)), image.digest);
  }
  rmSync(join(placeOf(first), '_uploads'), { recursive: true, force: true });
  for (const name of others) cpSync(placeOf(first), placeOf(name), { recursive: true });
}
