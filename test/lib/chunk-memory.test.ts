// Memory of chunks: collected after so many bytes, whoever's they are.
import { afterEach, expect, test, vi } from 'vitest';
import { countChunk } from '../../src/lib/chunk-memory.ts';

const MIB = 1024 * 1024;

afterEach(() => void vi.unstubAllGlobals());

function collections(): unknown[][] {
  const gc = vi.fn();
  vi.stubGlobal('gc', gc);
  return gc.mock.calls;
}

test('the young generation alone is collected each time 8 MiB of chunks have come', () => {
  const made = collections();
  for (let chunk = 0; chunk < 255; chunk += 1) countChunk(MIB / 16);
  expect(made).toEqual([[{ type: 'minor', execution: 'sync' }]]);
  countChunk(MIB / 16);
  expect(made).toHaveLength(2);
});

test('without --expose-gc chunks are left to V8', () => {
  vi.stubGlobal('gc', undefined);
  countChunk(8 * MIB);
  const made = collections();
  countChunk(MIB);
  expect(made).toEqual([]);
});
