// The few lines of the ustar format that a layer needs; the same entries give the same bytes.

export interface TarEntry {
  readonly path: string;
  readonly content?: Buffer | string;
  /** Makes the entry a symbolic link. */
  readonly linkTo?: string;
  /** File mode, 0644 when absent. */
  readonly mode?: number;
}

const blockSize = 512;

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;

function header({ path, linkTo = '', mode = 0o644 }: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(blockSize);
  block.write(path, 0, 100);
  block.write(octal(mode, 8) + octal(0, 8) + octal(0, 8) + octal(size, 12) + octal(0, 12), 100);
  // The sum is taken with the checksum's own field filled with spaces.
  block.write(' '.repeat(8), 148);
  block.write(linkTo === '' ? '0' : '2', 156);
  block.write(linkTo, 157, 100);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function entryBlocks(entry: TarEntry): Buffer[] {
  const content = Buffer.from(entry.content ?? '');
  const padding = Buffer.alloc((blockSize - (content.length % blockSize)) % blockSize);
  return [header(entry, content.length), content, padding];
}

/** An uncompressed tar archive of these entries, all owned by root and dated 1970. */
export function tar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(entryBlocks), Buffer.alloc(2 * blockSize)]);
}
