// Descriptors: how one piece of content points at another.
import { parseDigest, type Digest } from './digest.ts';

/** A checked descriptor (OCI image-spec descriptor.md); schema 1 knows no sizes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size?: number;
  readonly platform?: { readonly os?: string; readonly architecture?: string; readonly variant?: string };
  /** Where else the content is; a foreign layer need not be in the registry. */
  readonly urls?: readonly string[];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function platformOf(value: unknown): Descriptor['platform'] {
  if (!isObject(value)) return undefined;
  const { os, architecture, variant } = value;
  return {
    ...(typeof os === 'string' ? { os } : {}),
    ...(typeof architecture === 'string' ? { architecture } : {}),
    ...(typeof variant === 'string' ? { variant } : {}),
  };
}

/** Reads one descriptor out of a manifest's JSON; undefined where there is none or its digest is no digest. */
export function parseDescriptor(value: unknown): Descriptor | undefined {
  if (!isObject(value)) return undefined;
  const digest = parseDigest(value['digest']);
  if (!digest) return undefined;
  const { mediaType, size, urls } = value;
  const platform = platformOf(value['platform']);
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    digest,
    ...(Number.isSafeInteger(size) && (size as number) >= 0 ? { size: size as number } : {}),
    ...(platform ? { platform } : {}),
    ...(Array.isArray(urls) && urls.length > 0 ? { urls: urls.filter((url) => typeof url === 'string') } : {}),
  };
}

/** Reads a list of descriptors; entries that are none are left out. */
export function parseDescriptors(value: unknown): Descriptor[] {
  if (!Array.isArray(value)) return [];
  return value.map(parseDescriptor).filter((descriptor) => descriptor !== undefined);
}

/**
 * Whether a layer may be fetched from its own URLs and need not be in the registry (image-spec
 * layer.md#non-distributable-layers). Many registries have such layers, and clients ask there first.
 */
export function isForeign(descriptor: Descriptor): boolean {
  return descriptor.urls !== undefined && /nondistributable|\.foreign\./.test(descriptor.mediaType);
}
