// The entries of a list's page, in parts, and what is no such page.
import { describe, expect, test } from 'vitest';
import { readEntries } from '../../src/registry/entries.ts';

async function partsOf(page: string | Buffer, key = 'tags'): Promise<unknown[][]> {
  const parts: unknown[][] = [];
  for await (const part of readEntries(Buffer.from(page), key)) parts.push([...part]);
  return parts;
}

async function entriesOf(page: string | Buffer, key?: string): Promise<unknown[]> {
  return (await partsOf(page, key)).flat();
}

test.each([
  ['{"tags":["a","b"]}', ['a', 'b']],
  [' {\n "name" : "x" , "tags" : [ "a" , "b" ] } \n', ['a', 'b']],
  ['{"tags":[]}', []],
  ['{"tags": null}', []],
  ['{"name":"tags"}', []],
  ['{}', []],
  ['{"child":[],"manifest":{"x":{"tags":["no"]}},"tags":["a"],"more":[["b"]]}', ['a']],
  ['{"x":["tags"],"y":{"tags":["no"]},"tags":["a"]}', ['a']],
  ['{"errors":null,"tags":["a"]}', ['a']],
  ['{"tags":["a,b","]","}","\\"","\\\\"]}', ['a,b', ']', '}', '"', '\\']],
  ['{"tags":["group\\/a","\\u0061"]}', ['group/a', 'a']],
  [
    '{"tags":[5,null,true,-1.5e3,{"a":[1,{"b":"]"}]},[["c"]]]}',
    [5, null, true, -1500, { a: [1, { b: ']' }] }, [['c']]],
  ],
])('%s', async (page, entries) => {
  expect(await entriesOf(page)).toEqual(entries);
});

test.each([
  ['', 'ends early'],
  ['  ', 'ends early'],
  ['{', 'ends early'],
  ['{"tags":["a"', 'ends early'],
  ['{"tags":["a"]', 'ends early'],
  ['{"tags":["a\\', 'ends early'],
  ['["a"]', 'no object'],
  ['"tags"', 'no object'],
  ['<html>', 'no object'],
  ['{}{"tags":["a"]}', 'no object'],
  ['{"tags":["a"]}]', 'no object'],
  ['{"tags":"a"}', 'no array'],
  ['{"tags":{"a":1}}', 'no array'],
  ['{"tags":', 'no array'],
  ['{"errors":[{"code":"DENIED"}]}', 'errors instead'],
  ['{"tags":["a",]}', 'JSON'],
  ['{"tags":["a" "b"]}', 'JSON'],
  ['{"tags":[a]}', 'JSON'],
  [`{"tags":${'['.repeat(100)}${']'.repeat(100)}}`, 'too deep'],
])('%s is no page', async (page, reason) => {
  await expect(entriesOf(page)).rejects.toThrow(reason);
});

describe('of a large page', () => {
  const names = Array.from({ length: 20_000 }, (_, nth) => `group/${'é,"]}\\'.repeat(nth % 7)}${nth}`);
  const objects = names.map((name, nth) => ({ digest: name, annotations: { nth, list: [name, { name }] } }));

  test.each([
    ['names', names],
    ['objects', objects],
  ])('%s are all there, each once, in many parts', async (_what, entries) => {
    const page = JSON.stringify({ before: names, tags: entries, after: objects }, undefined, 1);
    const parts = await partsOf(page);
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.flat()).toEqual(entries);
  });

  test('it may be cut at any byte, and is never taken for a whole one', async () => {
    const page = Buffer.from(JSON.stringify({ tags: names.slice(0, 40), name: 'x' }));
    for (let end = 0; end < page.length; end += 1) await expect(entriesOf(page.subarray(0, end))).rejects.toThrow();
  });

  test('other work gets its turn, whatever the page is made of', async () => {
    for (const page of [`{"tags":[${'1,'.repeat(500_000)}1]}`, `{"x":"${'x'.repeat(1_000_000)}"}`]) {
      let turns = 0;
      let isReading = true;
      const work = (): void => {
        turns += 1;
        if (isReading) setImmediate(work);
      };
      work();
      await entriesOf(page);
      isReading = false;
      expect(turns).toBeGreaterThan(10);
    }
  });

  test('an entry over 4 MiB is none', async () => {
    await expect(entriesOf(`{"tags":["${'x'.repeat(5 * 1024 * 1024)}"]}`)).rejects.toThrow('over 4 MiB');
    expect(await entriesOf(`{"tags":["${'x'.repeat(1024 * 1024)}"]}`)).toHaveLength(1);
  });
});
