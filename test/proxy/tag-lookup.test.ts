// Many pulls of one tag: who joins whose look-up, and what is believed for how long.
import { expect, test } from 'vitest';
import { BACKGROUND } from '../../src/lib/claim.ts';
import { TagLookup, type HeadTag, type TagLookupOptions } from '../../src/proxy/tag-lookup.ts';
import { found, type Answer } from '../../src/registry/answer.ts';
import type { ManifestHead } from '../../src/registry/manifest.ts';
import { digestOf } from '../support/content.ts';
import { waitFor } from '../support/tool.ts';

type Head = Answer<ManifestHead>;

const headOf = (content: string): Extract<Head, { kind: 'found' }> =>
  found({ mediaType: 'application/json', digest: digestOf(content) as `sha256:${string}` });
const [old, fresh] = [headOf('old'), headOf('fresh')];

interface Primary {
  readonly tags: TagLookup;
  /** The look-ups that reached the primary, each answered by the test. */
  readonly asked: ((answer: Head) => void)[];
  /** What the primary was asked to confirm, by look-up. */
  readonly confirmations: (ManifestHead | undefined)[];
}

function primary(options: Partial<TagLookupOptions> = {}): Primary {
  const asked: ((answer: Head) => void)[] = [];
  const confirmations: (ManifestHead | undefined)[] = [];
  const head: HeadTag = (_name, _tag, known) => {
    confirmations.push(known);
    return new Promise((resolve) => void asked.push(resolve));
  };
  return { asked, confirmations, tags: new TagLookup(head, { ttl: 0, patience: 5, ...options }) };
}

const find = ({ tags }: Primary): Promise<Head> => tags.find('a/b', 'v1', BACKGROUND);

async function untilAsked({ asked }: Primary, times: number): Promise<void> {
  await waitFor(() => asked.length >= times, { what: `${times} look-ups` });
}

test('pulls that come during a look-up share the next one', async () => {
  const made = primary({ patience: 60_000 });
  const first = find(made);
  await untilAsked(made, 1);
  const later = [find(made), find(made), find(made)];
  made.asked[0]!(old);
  expect(await first).toBe(old);
  await untilAsked(made, 2);
  made.asked[1]!(fresh);
  expect(await Promise.all(later)).toEqual([fresh, fresh, fresh]);
  expect(made.asked).toHaveLength(2);
});

test('a pull never gets what a look-up found that began before it', async () => {
  const made = primary();
  const before = find(made);
  await untilAsked(made, 1);
  const after = find(made);
  await untilAsked(made, 2);
  made.asked[1]!(fresh);
  expect(await after).toBe(fresh);
  made.asked[0]!(old);
  expect(await before).toBe(old);
});

test('look-ups that hang are at most four, and the pull after them waits for one to end', async () => {
  const made = primary({ patience: 1 });
  const pulls: Promise<Head>[] = [];
  for (let nth = 1; nth <= 4; nth += 1) {
    pulls.push(find(made));
    await untilAsked(made, nth);
  }
  const fifth = find(made);
  made.asked[1]!(old);
  await untilAsked(made, 5);
  for (const answer of made.asked) answer(fresh);
  expect(await fifth).toBe(fresh);
  expect(await Promise.all(pulls)).toEqual([fresh, old, fresh, fresh]);
});

test('different tags do not wait for each other', async () => {
  const made = primary({ patience: 60_000 });
  void find(made);
  await untilAsked(made, 1);
  const other = made.tags.find('a/b', 'v2', BACKGROUND);
  await untilAsked(made, 2);
  made.asked[1]!(fresh);
  expect(await other).toBe(fresh);
});

test('with a TTL what was found is believed, what is missing is not', async () => {
  const made = primary({ ttl: 60_000 });
  const missing: Head = { kind: 'missing', code: 'MANIFEST_UNKNOWN' };
  const first = find(made);
  await untilAsked(made, 1);
  made.asked[0]!(missing);
  expect(await first).toBe(missing);
  const second = find(made);
  await untilAsked(made, 2);
  made.asked[1]!(old);
  expect(await second).toBe(old);
  expect(await find(made)).toBe(old);
  expect(made.asked).toHaveLength(2);
});

test('an event ends the belief, also in what a look-up under way will find', async () => {
  const made = primary({ ttl: 60_000 });
  const first = find(made);
  await untilAsked(made, 1);
  made.tags.forget('a/b', 'v1');
  made.asked[0]!(old);
  expect(await first).toBe(old);
  const second = find(made);
  await untilAsked(made, 2);
  made.asked[1]!(fresh);
  expect(await second).toBe(fresh);
  made.tags.forget('a/b', 'v1');
  void find(made);
  await untilAsked(made, 3);
});

test.each([
  ['a digest', (tags: TagLookup) => tags.forget('a/b', digestOf('gone'))],
  ['the repository', (tags: TagLookup) => tags.forget('a/b', '*')],
  ['everything', (tags: TagLookup) => tags.forgetAll()],
  [
    'more repositories than are remembered',
    (tags: TagLookup) => {
      tags.forget('a/b', '*');
      for (let nth = 0; nth < 10_000; nth += 1) tags.forget(`other/${nth}`, '*');
    },
  ],
])('an event of %s ends the belief, also in what a look-up under way will find', async (_what, forget) => {
  const made = primary({ ttl: 60_000 });
  const first = find(made);
  await untilAsked(made, 1);
  forget(made.tags);
  made.asked[0]!(old);
  expect(await first).toBe(old);
  const second = find(made);
  await untilAsked(made, 2);
  made.asked[1]!(fresh);
  await second;
  expect(await find(made)).toBe(fresh);
  forget(made.tags);
  void find(made);
  await untilAsked(made, 3);
});

test('an event of one repository ends no belief in others', async () => {
  const made = primary({ ttl: 60_000 });
  const first = find(made);
  await untilAsked(made, 1);
  made.asked[0]!(fresh);
  await first;
  made.tags.forget('a/c', '*');
  expect(await find(made)).toBe(fresh);
});

test('of two look-ups the later is believed, whichever ends first', async () => {
  const made = primary({ ttl: 60_000 });
  const [before, after] = [find(made), find(made)];
  await untilAsked(made, 2);
  made.asked[1]!(fresh);
  await after;
  made.asked[0]!(old);
  await before;
  expect(await find(made)).toBe(fresh);
});

async function look(made: Primary, answer: Head): Promise<ManifestHead | undefined> {
  const times = made.asked.length;
  const pull = find(made);
  await untilAsked(made, times + 1);
  made.asked[times]!(answer);
  await pull;
  return made.confirmations[times];
}

test('what was found is only to be confirmed, for a minute after it was last said in full', async () => {
  let now = 0;
  const made = primary({ clock: () => now });
  expect(await look(made, old)).toBeUndefined();
  now = 59_999;
  expect(await look(made, found(old.value))).toBe(old.value);
  now = 60_000;
  expect(await look(made, fresh)).toBeUndefined();
  expect(await look(made, fresh)).toBe(fresh.value);
});

test.each([
  ['the tag', (tags: TagLookup) => tags.forget('a/b', 'v1')],
  ['the repository', (tags: TagLookup) => tags.forget('a/b', '*')],
])('after an event of %s the primary says in full what it means', async (_what, forget) => {
  const made = primary();
  await look(made, old);
  forget(made.tags);
  expect(await look(made, fresh)).toBeUndefined();
});

test('what is to be confirmed is the latest that was found', async () => {
  const made = primary();
  await look(made, old);
  await look(made, fresh);
  await look(made, { kind: 'unavailable', reason: 'down' });
  expect(await look(made, fresh)).toBe(fresh.value);
});

test('a look-up that fails by a bug of ours fails for its pull alone', async () => {
  let times = 0;
  const head = (): Promise<Head> => ((times += 1) === 1 ? Promise.reject(new Error('bug')) : Promise.resolve(fresh));
  const tags = new TagLookup(head, { ttl: 0 });
  await expect(tags.find('a/b', 'v1', BACKGROUND)).rejects.toThrow('bug');
  expect(await tags.find('a/b', 'v1', BACKGROUND)).toBe(fresh);
});
