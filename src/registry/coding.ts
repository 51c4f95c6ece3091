// Content codings (RFC 9110 section 8.4): we ask for none, and registries behind a CDN send one all the same.
import { promisify } from 'node:util';
import { brotliDecompress, constants, gunzip, inflate, zstdDecompress } from 'node:zlib';

type Decode = (bytes: Buffer, options: { readonly maxOutputLength: number }) => Promise<Buffer>;

// What broke off is decoded as far as it came: the first bytes of an error say enough.
const DECODERS: Readonly<Record<string, Decode>> = {
  gzip: (bytes, options) => promisify(gunzip)(bytes, { ...options, finishFlush: constants.Z_SYNC_FLUSH }),
  deflate: (bytes, options) => promisify(inflate)(bytes, { ...options, finishFlush: constants.Z_SYNC_FLUSH }),
  br: (bytes, options) => promisify(brotliDecompress)(bytes, options),
  zstd: (bytes, options) => promisify(zstdDecompress)(bytes, options),
};

// One more than a CDN adds to what a registry has coded.
const CODINGS_MAX = 2;

/** The codings of a `Content-Encoding`, in the order in which they were applied. */
function codingsOf(header: string): string[] {
  const names = header.split(',').map((name) => name.trim().toLowerCase().replace(/^x-/, ''));
  return names.filter((name) => name !== '' && name !== 'identity');
}

/**
 * The bytes without their content coding, `max` of them at the most. What says to be coded and is not is taken as it is.
 * @throws {Error} where the coding is unknown, or the bytes are more.
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
