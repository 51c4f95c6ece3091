// Blobs, malformed events, dummies, facts, and the end.
import { expect, test } from 'vitest';
import type { BlobRecord } from '../../../src/replication/records.ts';
import { StoreUnavailable } from '../../../src/replication/rows.ts';
import { digest, otherDigest, repository, wish, type CreateStore } from './given.ts';

const whole: BlobRecord = { repository, digest, verifiedAt: 100, isDamaged: false };
const damaged: BlobRecord = { repository, digest: otherDigest, verifiedAt: 200, isDamaged: true };

export function keepContract(create: CreateStore): void {
  test('a blob is found in its repository', async () => {
    const store = await create();
    await store.putBlob(whole);
    expect(await store.findBlob(repository, digest)).toEqual(whole);
    expect(await store.findBlob('group/other', digest)).toBeUndefined();
    expect(await store.findBlob(repository, otherDigest)).toBeUndefined();
  });

  test('what was found last of a blob counts', async () => {
    const store = await create();
    await store.putBlob(damaged);
    const mended = { ...damaged, verifiedAt: 300, isDamaged: false };
    await store.putBlob(mended);
    expect(await store.findBlob(repository, otherDigest)).toEqual(mended);
    expect(await store.damagedBlobs(10)).toEqual([]);
  });

  test('blobs that were not read for long, the oldest first', async () => {
    const store = await create();
    const oldest = { ...damaged, repository: 'group/zoo', verifiedAt: 50 };
    for (const blob of [damaged, whole, oldest]) await store.putBlob(blob);
    expect(await store.blobsVerifiedBefore(200, 10)).toEqual([oldest, whole]);
    expect(await store.blobsVerifiedBefore(201, 10)).toEqual([oldest, whole, damaged]);
    expect(await store.blobsVerifiedBefore(201, 1)).toEqual([oldest]);
  });

  test('damaged blobs are listed', async () => {
    const store = await create();
    const another = { ...damaged, repository: 'group/other' };
    for (const blob of [damaged, whole, another]) await store.putBlob(blob);
    expect(await store.damagedBlobs(10)).toEqual([another, damaged]);
    expect(await store.damagedBlobs(1)).toEqual([another]);
  });

  test('a forgotten blob is not found', async () => {
    const store = await create();
    for (const blob of [damaged, whole]) await store.putBlob(blob);
    await store.forgetBlob(repository, otherDigest);
    expect(await store.findBlob(repository, otherDigest)).toBeUndefined();
    expect(await store.findBlob(repository, digest)).toEqual(whole);
  });

  test('malformed events are kept, the newest first', async () => {
    const store = await create();
    const first = { at: 200, reason: 'no JSON', body: '{"é' };
    const second = { at: 100, reason: 'no repository', body: '' };
    await store.keepMalformed(first);
    await store.keepMalformed(second);
    expect(await store.malformed(10)).toEqual([second, first]);
    expect(await store.malformed(1)).toEqual([second]);
  });

  test('what is no text is kept as far as it is one', async () => {
    const store = await create();
    await store.keepMalformed({ at: 1, reason: 'a\0b', body: 'c\0d\ud800e' });
    expect(await store.malformed(1)).toEqual([{ at: 1, reason: 'a\ufffdb', body: 'c\ufffdd\ufffde' }]);
  });

  test('of more than 1,000 malformed events the oldest go', async () => {
    const store = await create();
    const events = Array.from({ length: 1_005 }, (_, at) => store.keepMalformed({ at, reason: 'no JSON', body: '' }));
    await Promise.all(events);
    const kept = await store.malformed(2_000);
    expect([kept.length, kept.at(0)?.at, kept.at(-1)?.at]).toEqual([1_000, 1_004, 5]);
    expect(await store.counts(2_000)).toMatchObject({ malformedEvents: 1_000 });
  });

  test.each(['a'.repeat(70_000), 'é'.repeat(40_000), `a${'é'.repeat(40_000)}`])(
    'at most 64 KiB of a body are kept, and no half character (%#)',
    async (body) => {
      const store = await create();
      await store.keepMalformed({ at: 1, reason: 'too long', body });
      const kept = (await store.malformed(1))[0]!.body;
      expect(body.startsWith(kept)).toBe(true);
      expect([65_535, 65_536]).toContain(Buffer.byteLength(kept));
    },
  );

  test('dummies are known until they are removed', async () => {
    const store = await create();
    const [first, second] = [
      { repository, tag: 'v1', digest },
      { repository, tag: 'v1', digest: otherDigest },
    ];
    await store.addDummy(first!);
    await store.addDummy(first!);
    await store.addDummy(second!);
    expect(await store.dummies()).toEqual([first, second]);
    await store.removeDummy(first!);
    expect(await store.dummies()).toEqual([second]);
  });

  test('a blob is where it was noted', async () => {
    const store = await create();
    await store.addBlobLocations('group/b', [digest, otherDigest]);
    await store.addBlobLocations('group/a', [digest]);
    expect(await store.blobLocations(digest)).toEqual(['group/b', 'group/a']);
    await store.addBlobLocations('group/b', [digest]);
    expect(await store.blobLocations(digest)).toEqual(['group/a', 'group/b']);
    expect(await store.blobLocations(otherDigest)).toEqual(['group/b']);
  });

  test('of a blob that is everywhere the latest 16 places are kept', async () => {
    const store = await create();
    const names = Array.from({ length: 20 }, (_, nth) => `group/${nth}`);
    for (const name of names) await store.addBlobLocations(name, [digest]);
    expect(await store.blobLocations(digest)).toEqual(names.slice(4));
  });

  test.each([['text'], [0], [false], [null], [{ cursor: ['a', 1], at: 5 }]])('the fact %j is kept', async (value) => {
    const store = await create();
    await store.setFact('name', 'before');
    await store.setFact('name', value);
    await store.setFact('other', 1);
    expect(await store.getFact('name')).toEqual(value);
  });

  test('what nobody set is undefined', async () => {
    const store = await create();
    expect(await store.getFact('name')).toBeUndefined();
  });

  test('closing waits for the calls made before, and refuses those after', async () => {
    const store = await create();
    const marks = Array.from({ length: 2_000 }, (_, index) => store.mark([wish(`v${index}`)], 100));
    const listed = store.repositories();
    await store.close();
    await expect(Promise.all(marks)).resolves.toHaveLength(2_000);
    await expect(listed).resolves.toEqual(expect.any(Array));
    await expect(store.mark([wish('late')], 100)).rejects.toThrow(StoreUnavailable);
    await expect(store.find(repository, 'late')).rejects.toThrow(StoreUnavailable);
  });
}
