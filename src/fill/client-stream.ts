// A client's stream of a blob: from the spool, or directly from the primary.
import { Readable } from 'node:stream';
import { takenAtLeast } from '../lib/least-rate.ts';
import type { BlobFill } from './blob-fill.ts';
import type { FillContext } from './context.ts';
import { allFromPrimary, PassThroughReader, uploadBeside } from './pass-through.ts';
import { FillReader, type ReaderOptions } from './reader.ts';
import { SourceFailed } from './source-errors.ts';

/** Drops a client that takes almost no bytes, so that it does not keep its slot. */
function dropReader({ meter }: FillContext, reader: Readable): void {
  if (reader.destroyed) return;
  meter('readers_dropped_total');
  reader.destroy(new SourceFailed('the reader took too little'));
}

/** The bytes of `source` for the stream `reader`, which is destroyed where it takes too few. */
export function atClientRate(
  context: FillContext,
  source: AsyncIterable<Buffer>,
  reader: () => Readable,
): AsyncGenerator<Buffer> {
  return takenAtLeast(source, context.options.leastRate, () => dropReader(context, reader()));
}

/** A stream of a fill's bytes for a client of the repository `name`, which has the blob. */
export function clientStream(context: FillContext, name: string, fill: BlobFill, range: ReaderOptions = {}): Readable {
  const { meter, store, isStored, options } = context;
  const { leastRate } = options;
  const onTooSlow = (reader: Readable): void => dropReader(context, reader);
  if (fill.state !== 'spilled' || fill.spooled?.edge || range.start !== undefined)
    return new FillReader(fill, range, { leastRate, onTooSlow });
  meter('passed_through_total');
  const body = fill.takeFirstBody();
  const source = allFromPrimary(fill, body);
  if (!body || !isStored(name)) {
    const stream: Readable = Readable.from(
      atClientRate(context, source, () => stream),
      { objectMode: false },
    );
    return stream;
  }
  const { upload, answer } = uploadBeside(store, name, fill);
  void answer.then(({ kind }) => meter('stores_total', { result: kind === 'found' ? 'stored' : 'failed' }));
  return new PassThroughReader(source, upload, leastRate, onTooSlow);
}
