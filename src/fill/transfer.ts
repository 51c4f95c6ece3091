// A transfer: all bytes of one blob over one connection, or those of a large blob over several.
import type { BlobBody } from '../registry/blob.ts';
import type { ConnectionSlot } from './connection-slot.ts';
import { Parts } from './parts.ts';
import type { PrimaryBlob } from './primary-blob.ts';
import { readSource } from './source.ts';

/** How large blobs are fetched; sizes in bytes. */
export interface PartsOptions {
  /** Connections for one blob. */
  readonly connections: number;
  /** The piece that a connection requests at a time, and that is requested first of a blob whose size is not known. */
  readonly size: number;
  /** Smaller blobs come over one connection. */
  readonly above: number;
}

/** {@link PartsOptions} by default. */
export const PARTS: PartsOptions = { connections: 4, size: 8 * 1024 * 1024, above: 32 * 1024 * 1024 };

/** What a transfer needs. */
export interface TransferDeps {
  readonly source: PrimaryBlob;
  readonly parts: PartsOptions;
  /** The slot of its first connection. */
  readonly slot: ConnectionSlot;
  /** Takes bytes; false where no more are wanted. */
  readonly take: (chunk: Buffer, position: number) => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** Brings all bytes of a blob whose first body is open; false when no more are wanted. @throws SourceFailed, Overlong */
export async function transfer(first: BlobBody, deps: TransferDeps): Promise<boolean> {
  const { source, slot, signal, take } = deps;
  const { size, end } = first;
  if (size !== undefined && end !== undefined && end + 1 < size) return new Parts(deps, end + 1, size).run(first);
  let position = 0;
  const how = { ...source.reading, from: 0, until: size, size, slot, signal };
  for await (const chunk of readSource(first, source.open, how)) {
    if (!(await take(chunk, position))) return false;
    position += chunk.length;
  }
  return true;
}
