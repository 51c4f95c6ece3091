// Content codings (RFC 9110 section 8.4): we request none, but registries behind a CDN may send one.
import { promisify } from 'node:util';
import { brotliDecompress, constants, gunzip, inflate, zstdDecompress } from 'node:zlib';

type Decode = (bytes: Buffer, options: { readonly maxOutputLength: number }) => Promise<Buffer>;

// A body that broke off is decoded as far as it came: the beginning of an error is enough.
const DECODERS: Readonly<Record<string, Decode>> = {
  gzip: (bytes, options) => promisify(gunzip)(bytes, { ...options, finishFlush: constants.Z_SYNC_FLUSH }),
  deflate: (bytes, options) => promisify(inflate)(bytes, { ...options, finishFlush: constants.Z_SYNC_FLUSH }),
  br: (bytes, options) => promisify(brotliDecompress)(bytes, options),
  zstd: (bytes, options) => promisify(zstdDecompress)(bytes, options),
};

// The registry's own, and one that a CDN adds.
const CODINGS_MAX = 2;

/** The codings of a `Content-Encoding`, in the order of their application. */
function codingsOf(header: string): string[] {
  const names = header.split(',').map((name) => name.trim().toLowerCase().replace(/^x-/, ''));
  return names.filter((name) => name !== '' && name !== 'identity');
}

/**
 * The decoded bytes, `max` at most. Bytes that are not coded as the header claims are returned as they are.
 * @throws {Error} for an unknown coding, or more bytes.
 */
export async function decoded(bytes: Buffer, header: string | undefined, max: number): Promise<Buffer> {
  const codings = codingsOf(header ?? '');
  if (codings.length === 0 || bytes.length === 0) return bytes;
  if (codings.length > CODINGS_MAX) throw new Error(`coded ${codings.length} times`);
  let plain = bytes;
  for (const coding of codings.toReversed()) {
    const decode = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
    if (!decode) throw new Error('coded in a way that was not asked for');
    try {
      plain = await decode(plain, { maxOutputLength: max });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
        throw new Error(`over ${max} bytes`, { cause: error });
      return bytes;
    }
  }
  return plain;
}
