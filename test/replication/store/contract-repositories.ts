// Rows summed up by repository.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Outcome } from '../../../src/replication/row-queue.ts';
import type { RepositoryQuery } from '../../../src/replication/row-views.ts';
import { WHOLE_REPOSITORY } from '../../../src/replication/row.ts';
import type { RowStore } from '../../../src/replication/rows.ts';
import { claimOne, digest, otherDigest, outcomes, wish, type CreateStore } from './given.ts';

const nothing = { pending: 0, syncing: 0, synced: 0, failed: 0, unsupported: 0, recheck: 0 };

/** Marks a tag of a repository and ends its work. */
async function ended(
  store: RowStore,
  repository: string,
  reference: string,
  outcome: Outcome,
  now = 1_010,
): Promise<void> {
  await store.mark([wish(reference, { repository })], 100);
  await store.finish('us', await claimOne(store), outcome, now);
}

async function verify(store: RowStore, repository: string, reference: string): Promise<void> {
  await store.setVerified((await store.find(repository, reference))!, 2_000);
}

async function names(store: RowStore, query: RepositoryQuery): Promise<string[]> {
  return (await store.repositorySummaries(query)).map(({ repository }) => repository);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function repositoriesContract(create: CreateStore): void {
  test('a repository is summed up: rows by state, tags, verified ones, and when one was last synced', async () => {
    const store = await create();
    await ended(store, 'a', 'v1', outcomes.synced, 1_500);
    await ended(store, 'a', 'v2', outcomes.synced, 1_400);
    await ended(store, 'a', digest, outcomes.synced, 1_300);
    await ended(store, 'a', 'broken', outcomes.failed);
    await ended(store, 'a', 'old', outcomes.unsupported);
    await verify(store, 'a', 'v1');
    await store.mark([wish(WHOLE_REPOSITORY, { repository: 'a' }), wish('v1', { repository: 'b' })], 2_000);
    expect(await store.repositorySummaries({ limit: 10 })).toEqual([
      {
        repository: 'a',
        states: { ...nothing, pending: 1, synced: 3, failed: 1, unsupported: 1 },
        tags: 4,
        verified: 1,
        syncedAt: 1_500,
      },
      { repository: 'b', states: { ...nothing, pending: 1 }, tags: 1, verified: 0 },
    ]);
  });

  test('what is looked at again is not verified', async () => {
    const store = await create();
    await ended(store, 'a', 'v1', outcomes.synced);
    await verify(store, 'a', 'v1');
    await store.mark([wish('v1', { repository: 'a' })], 3_000);
    expect(await store.repositorySummaries({ limit: 10 })).toMatchObject([{ verified: 0, syncedAt: 1_010 }]);
  });

  test.each<[RepositoryQuery, string[]]>([
    [{ limit: 10 }, ['a', 'a-b', 'a/b', 'b']],
    [{ limit: 2 }, ['a', 'a-b']],
    [{ limit: 2, after: 'a-b' }, ['a/b', 'b']],
    [{ limit: 2, after: 'a.' }, ['a/b', 'b']],
    [{ limit: 2, after: 'b' }, []],
    [{ limit: 10, repository: 'a/b' }, ['a/b']],
    [{ limit: 10, repository: 'a/' }, []],
    [{ limit: 10, isFailed: true }, ['a', 'b']],
    [{ limit: 10, isFailed: false }, ['a-b', 'a/b']],
    [{ limit: 10, isFailed: true, after: 'a' }, ['b']],
  ])('%j names %j', async (query, expected) => {
    const store = await create();
    for (const repository of ['b', 'a/b', 'a-b', 'a']) await ended(store, repository, 'v1', outcomes.synced);
    for (const repository of ['b', 'a']) await ended(store, repository, 'v2', outcomes.failed);
    expect(await names(store, query)).toEqual(expected);
  });

  test('the checksum is over the tags by name, each with its digest, and no other manifests', async () => {
    const store = await create();
    await ended(store, 'a', 'v2', { ...outcomes.synced, digest: otherDigest });
    await ended(store, 'a', 'v10', outcomes.synced);
    await ended(store, 'a', digest, outcomes.synced);
    await ended(store, 'a/b', 'v1', outcomes.failed);
    expect(await store.checksum('a')).toBe(sha256(`v10${digest}v2${otherDigest}`));
  });

  test.each([outcomes.failed, outcomes.unsupported, outcomes.held, outcomes.released])(
    'there is no checksum where a tag is $kind',
    async (outcome) => {
      const store = await create();
      await ended(store, 'a', 'v1', outcomes.synced);
      await ended(store, 'a', 'v2', outcome);
      expect(await store.checksum('a')).toBeUndefined();
    },
  );

  test('there is no checksum while a tag waits again, or tags that are not known may be there', async () => {
    const store = await create();
    await ended(store, 'a', 'v1', outcomes.synced);
    await ended(store, 'b', 'v1', outcomes.synced);
    await store.mark([wish('v1', { repository: 'a' }), wish(WHOLE_REPOSITORY, { repository: 'b' })], 2_000);
    expect([await store.checksum('a'), await store.checksum('b')]).toEqual([undefined, undefined]);
  });

  test('a manifest without a tag that failed does not keep the tags from being compared', async () => {
    const store = await create();
    await ended(store, 'a', 'v1', outcomes.synced);
    await ended(store, 'a', digest, outcomes.failed);
    expect(await store.checksum('a')).toBe(sha256(`v1${digest}`));
  });

  test('no repositories count as none', async () => {
    const store = await create();
    await store.putBlob({ repository: 'gone', digest, verifiedAt: 100, isDamaged: true });
    expect(await store.repositoryCounts()).toEqual({
      known: 0,
      synced: 0,
      failed: 0,
      verified: 0,
      damaged: 0,
      verifiable: 0,
    });
  });

  test('a repository is synced when all its rows are, failed when one is, and may be neither', async () => {
    const store = await create();
    for (const repository of ['synced', 'failed', 'unsupported', 'waiting']) {
      await ended(store, repository, 'v1', outcomes.synced);
    }
    await ended(store, 'failed', 'v2', outcomes.failed);
    await ended(store, 'failed', 'v3', outcomes.failed);
    await ended(store, 'unsupported', 'v2', outcomes.unsupported);
    await store.mark([wish('v2', { repository: 'waiting' })], 2_000);
    expect(await store.repositoryCounts()).toMatchObject({ known: 4, synced: 1, failed: 1, verifiable: 1 });
  });

  test('a repository is verified when all its rows are, and damaged when a blob of it is', async () => {
    const store = await create();
    for (const repository of ['all', 'some', 'damaged', 'damaged and failed', 'mended']) {
      await ended(store, repository, 'v1', outcomes.synced);
      await verify(store, repository, 'v1');
    }
    await ended(store, 'some', 'v2', outcomes.synced);
    await ended(store, 'damaged and failed', 'v2', outcomes.failed);
    const blob = { digest, verifiedAt: 100 };
    await store.putBlob({ ...blob, repository: 'damaged', isDamaged: true });
    await store.putBlob({ ...blob, repository: 'damaged', digest: otherDigest, isDamaged: true });
    await store.putBlob({ ...blob, repository: 'damaged and failed', isDamaged: true });
    await store.putBlob({ ...blob, repository: 'mended', isDamaged: false });
    expect(await store.repositoryCounts()).toEqual({
      known: 5,
      synced: 4,
      failed: 1,
      verified: 2,
      damaged: 2,
      verifiable: 5,
    });
  });
}
