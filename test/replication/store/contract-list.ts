// Looking at rows.
import { expect, test } from 'vitest';
import type { RowFilter } from '../../../src/replication/row-views.ts';
import type { RowStore } from '../../../src/replication/rows.ts';
import { finished, outcomes, repository, wish, type CreateStore } from './given.ts';

async function references(store: RowStore, filter: RowFilter): Promise<string[]> {
  return (await store.list(filter)).map((row) => row.reference);
}

async function someRows(create: CreateStore): Promise<RowStore> {
  const store = await create();
  await finished(store, 'synced', outcomes.synced);
  await finished(store, 'failed', outcomes.failed);
  await finished(store, 'unsupported', outcomes.unsupported);
  await finished(store, 'held', outcomes.held);
  await store.mark([wish('pending'), wish('elsewhere', { repository: 'group/other' })], 100);
  return store;
}

export function listContract(create: CreateStore): void {
  test.each<[RowFilter, string[]]>([
    [{}, ['synced', 'failed', 'unsupported', 'held', 'pending', 'elsewhere']],
    [{ states: ['failed'] }, ['failed']],
    [{ states: ['unsupported', 'synced'] }, ['synced', 'unsupported']],
    [{ states: ['syncing'] }, []],
    [{ states: [] }, []],
    [{ isHeld: true }, ['held']],
    [{ isHeld: false }, ['synced', 'failed', 'unsupported', 'pending', 'elsewhere']],
    [{ repository: 'group/other' }, ['elsewhere']],
    [{ repository: 'group' }, []],
    [{ repository, states: ['pending'] }, ['held', 'pending']],
    [{ repository, states: ['pending'], isHeld: false }, ['pending']],
    [{ limit: 2 }, ['synced', 'failed']],
    [{ limit: 0 }, []],
  ])('%j lists %j', async (filter, expected) => {
    const store = await someRows(create);
    expect(await references(store, filter)).toEqual(expected);
  });

  test('pages hold every row once', async () => {
    const store = await someRows(create);
    const pages: string[][] = [];
    for (let after = 0; ;) {
      const page = await store.list({ after, limit: 2, states: ['pending', 'synced', 'failed'] });
      if (page.length === 0) break;
      pages.push(page.map((row) => row.reference));
      after = page.at(-1)!.id;
    }
    expect(pages).toEqual([['synced', 'failed'], ['held', 'pending'], ['elsewhere']]);
  });

  test('a listed row is the row', async () => {
    const store = await someRows(create);
    const [row] = await store.list({ states: ['failed'] });
    expect(row).toEqual(await store.find(repository, 'failed'));
  });

  test('what nobody marked is not found', async () => {
    const store = await someRows(create);
    expect(await store.find(repository, 'elsewhere')).toBeUndefined();
    expect(await store.find('group/other', 'elsewhere')).toMatchObject({ repository: 'group/other' });
  });

  test('repositories are named once, sorted', async () => {
    const store = await someRows(create);
    await store.mark([wish('v1', { repository: 'a' })], 100);
    expect(await store.repositories()).toEqual(['a', 'group/other', repository]);
  });
}
