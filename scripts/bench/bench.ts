// What a topic of the benchmark gets, and what it gives.
import type { Figure } from './figure.ts';
import type { Load } from './load.ts';

/** What all topics share. */
export interface Bench {
  /** The program as it is shipped. */
  readonly bin: string;
  readonly load: Load;
  /** Runs behind each median, and seconds that a run of a rate lasts at least. */
  readonly runs: number;
  readonly seconds: number;
  /** Fewer and shorter runs, smaller bodies: to try the benchmark, not the program. */
  readonly isQuick: boolean;
}

/** One topic: its name is what `npm run bench -- <name>` takes. */
export interface Topic {
  readonly name: string;
  readonly about: string;
  /** Starts what it needs, measures, and stops it. */
  measure(bench: Bench): Promise<readonly Figure[]>;
}

/** Measures the contenders turn by turn, so that what else the machine does hits all of them; all turns of each. */
export async function inTurns<Name extends string>(
  runs: number,
  contenders: Readonly<Record<Name, (turn: number) => Promise<number>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contenders) as Name[];
  const measured = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let turn = 0; turn < runs; turn += 1) {
    // Each begins in its turn.
    for (const offset of names.keys()) {
      const name = names[(turn + offset) % names.length]!;
      measured[name].push(await contenders[name](turn));
    }
  }
  return measured;
}
