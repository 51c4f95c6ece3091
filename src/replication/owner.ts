// The owner of leases: this process. What a dead one of this host left need not wait until its leases run out.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { RowStore } from './rows.ts';

/** The process that works on a host's rows, or did last. */
export interface Owner {
  readonly name: string;
  readonly pid: number;
}

/** The name of the fact who owns a host's leases, an {@link Owner}. */
export function ownerFact(host: string): string {
  return `worker.owner.${host}`;
}

const OWNER = ownerFact(hostname());
const PAGE = 1_000;

function isAlive(pid: number): boolean {
  // In a container every process is the first: an earlier one with our number is gone.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function endLeases(rows: Pick<RowStore, 'list' | 'renew'>, owner: string, now: number): Promise<void> {
  for (let after = 0; ;) {
    const page = await rows.list({ states: ['syncing'], after, limit: PAGE });
    await rows.renew(
      owner,
      page.map(({ id }) => id),
      now,
    );
    if (page.length < PAGE) return;
    after = page.at(-1)!.id;
  }
}

/** Gives this process a name of its own, and ends the leases of the process that had this host's before, if it is dead. */
export async function takeOverLeases(
  rows: Pick<RowStore, 'list' | 'renew' | 'getFact' | 'setFact'>,
  now: number,
): Promise<string> {
  const before = (await rows.getFact(OWNER)) as Owner | undefined;
  if (before && !isAlive(before.pid)) await endLeases(rows, before.name, now);
  const name = `${hostname()}/${process.pid}/${randomUUID()}`;
  await rows.setFact(OWNER, { name, pid: process.pid } satisfies Owner);
  return name;
}
