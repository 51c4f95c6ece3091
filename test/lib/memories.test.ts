// Every memory keeps to its bound in bytes, and docs/design/limits.md lists them all.
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { createLru, detached } from '../../src/lib/lru.ts';
import { MEMORIES, type MemoryDeclaration, type MemoryName } from '../../src/lib/memories.ts';
import { heldBytes } from '../support/heap.ts';

const MiB = 1024 * 1024;
const root = resolve(import.meta.dirname, '../..');

const declared = Object.entries(MEMORIES) as [MemoryName, MemoryDeclaration][];

/** A key of its own with so many characters, none of which it shares with another. */
function keyOf(index: number, length: number): string {
  return detached(`${index} `.padEnd(length, 'k'));
}

let held: unknown;

test.each(declared)('%s counts no more than its bound, however short or long its keys are', (name, { maxBytes }) => {
  const memory = createLru<string, true>(name);
  let sent = 0;
  for (let index = 0; sent < 1.2 * maxBytes; index += 1) {
    const length = [24, 71, 400, 60_000][index % 4]!;
    memory.set(keyOf(index, length), true);
    sent += length;
  }
  expect(memory.calculatedSize).toBeLessThanOrEqual(maxBytes);
  // It is a memory, too.
  expect(memory.size).toBeGreaterThan(0);
});

test.each([24, 71, 400, 60_000])('what is counted is what is held, with keys of %i characters', (length) => {
  held = undefined;
  const before = heldBytes();
  const memory = createLru<string, true>('tags', { maxBytes: 16 * MiB, ttl: 60_000 });
  held = memory;
  for (let index = 0; index * (length + 100) < 32 * MiB; index += 1) memory.set(keyOf(index, length), true);
  expect((heldBytes() - before) / memory.calculatedSize).toBeLessThan(1.2);
  expect(held).toBe(memory);
});

test('an entry that is larger than the bound is not held', () => {
  const memory = createLru<string, true>('tags', { maxBytes: 1_000 });
  memory.set(keyOf(1, 1_000), true);
  expect(memory.size).toBe(0);
});

test('docs/design/limits.md lists what is remembered, with the bounds', () => {
  const text = readFileSync(join(root, 'docs/design/limits.md'), 'utf8');
  const rows = declared.map(([, { holds, maxBytes, variable }]) => {
    const bound = `${maxBytes / MiB} MiB`;
    return `| ${holds} | ${variable === undefined ? bound : `\`${variable}\` (${bound})`} |`;
  });
  expect(rows.filter((row) => !text.includes(`${row}\n`))).toEqual([]);
});

const src = join(root, 'src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

function using(pattern: RegExp): string[] {
  return files.filter((name) => pattern.test(readFileSync(join(src, name), 'utf8'))).sort();
}

test('nothing remembers by other means than lib/lru', () => {
  expect(using(/new LRUCache/)).toEqual(['lib/lru.ts']);
});

// What grows and is no memory: it goes with the work that it belongs to, or has as many entries as the program has parts.
const GROWING: Readonly<Record<string, string>> = {
  'app.ts': 'connections that are open',
  'auth/challenge.ts': 'one header of a registry',
  'fill/filler.ts': 'blobs that are fetched, and files of the spool',
  'fill/parts.ts': 'connections of a fill',
  'fill/repositories.ts': 'repositories of a fill',
  'lib/budget.ts': 'fills that wait for bandwidth',
  'lib/claim.ts': 'callers that wait for one piece of work',
  'lib/directory-lock.ts': 'locks of this process',
  'lib/fair-queue.ts': 'requests that wait: 4,096 of a share',
  'lib/offers.ts': 'transfers under way',
  'status/image-facts.ts': 'what one image, and one page, has',
  'lib/shared-work.ts': 'questions under way',
  'lib/single-flight.ts': 'questions under way',
  'lib/slots.ts': 'transfers under way',
  'proxy/tag-lookup.ts': 'look-ups under way',
  'registry/address-rule.ts': 'a default without entries',
  'registry/client.ts': 'requests under way',
  'registry/sender.ts': 'requests under way',
  'registry/transport.ts': 'origins with requests under way',
  'replication/events.ts': 'events of one body: 5,000',
  'replication/image-copy.ts': 'manifests of one image: 10,000',
  'replication/reconcile.ts': 'the latest run of each kind: two',
  'replication/repository-walk.ts': 'references of four repositories: bounded by replication/walk.ts',
  'replication/removal.ts': 'removals under way, tags of one repository',
  'replication/store/sqlite/statements.ts': 'statements of the program',
  'replication/surplus.ts': 'tags of one repository',
  'replication/turns.ts': 'work under way',
  'replication/walk-run.ts': 'names of one run: bounded by replication/walk.ts',
  'replication/walk.ts': 'pages of one list: 100,000 or 128 MiB',
  'replication/worker.ts': 'rows under way',
  'status/events.ts': 'answers that follow the events: 64',
  'status/metrics.ts': 'counters, and values of their labels, which are the program’s own',
  'status/pulls/pull-metrics.ts': 'kinds and origins of pulls, which are the program’s own',
  'status/pulls/recorder.ts': 'listeners: open pages and commands that follow the pulls',
};

test('every other map or set that grows is known to end', () => {
  const growing = using(/new (?:Map|Set|WeakMap)(?:<.*>)?\(\)/);
  expect(growing.filter((name) => !(name in GROWING) && !/^(?:doctor|cli)\//.test(name))).toEqual([]);
  expect(Object.keys(GROWING).filter((name) => !growing.includes(name))).toEqual([]);
});
