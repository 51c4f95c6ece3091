import { expect, it } from 'vitest';
import type { Reference } from '../../src/oci/reference.ts';
import type { CopyResult } from '../../src/replication/copy.ts';
import { createCopyQueue } from '../../src/replication/queue.ts';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

it('closes when what runs has ended, also when that was asked for again meanwhile', async () => {
  const copied = Promise.withResolvers<CopyResult>();
  let copies = 0;
  const copy = (): Promise<CopyResult> => {
    copies += 1;
    return copied.promise;
  };
  const queue = createCopyQueue({ copy, log: silent, meter: () => {} });
  const wish = { name: 'group/app', reference: { tag: 'v1' } as Reference };
  queue.enqueue(wish);
  queue.enqueue(wish);
  const closed = queue.close(60_000);
  copied.resolve('synced');
  await closed;
  expect(copies).toBe(1);
}, 5_000);
