// All topics, in the order of the table.
import { backfill } from './backfill.ts';
import type { Topic } from './bench.ts';
import { blobs } from './blobs.ts';
import { cold } from './cold.ts';
import { distance } from './distance.ts';
import { events } from './events.ts';
import { firstByte } from './first-byte.ts';
import { hostile } from './hostile.ts';
import { manifests } from './manifests.ts';
import { memory } from './memory.ts';
import { page } from './page.ts';
import { reconcile } from './reconcile.ts';
import { start } from './start.ts';
import { status } from './status.ts';

/** What `npm run bench` measures. */
export const topics: readonly Topic[] = [
  start,
  manifests,
  blobs,
  cold,
  distance,
  firstByte,
  memory,
  events,
  status,
  page,
  reconcile,
  backfill,
  hostile,
];
