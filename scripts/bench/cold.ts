// Cold blobs over a line that all share: how much of it is used, how much crosses it, and how long clients wait.
import { largeBlob, type Blob } from '../../test/support/content.ts';
import { pushBlob } from '../../test/support/push.ts';
import { inTurns, type Bench, type Topic } from './bench.ts';
import { median, ratio } from './figure.ts';
import { startLine, type Line } from './line.ts';

const MIB = 1024 * 1024;
const RATE = 100_000_000;
const CLIENTS = 8;
const REPOSITORY = 'bench/cold';

async function newBlob({ sites }: Line, size: number, seed: string): Promise<Blob> {
  const blob = await largeBlob(size, seed);
  await pushBlob(sites.primaryTarget(REPOSITORY), blob);
  return blob;
}

/** The relay without a limit: what it costs by itself is not to be seen in the figures. */
async function relayAlone(bench: Bench, size: number): Promise<number> {
  const line = await startLine(bench, REPOSITORY, {});
  try {
    const blob = await newBlob(line, size, 'relay');
    const times: number[] = [];
    for (let run = 0; run < bench.runs; run += 1) times.push(await line.pull(line.link.port, blob));
    return size / 1e6 / median(times);
  } finally {
    await line.close();
  }
}

/** Seconds for a blob that nobody has asked for, which crosses the line once. */
async function coldPull(line: Line, blob: Blob, clients: number): Promise<number> {
  const seconds = await line.pull(line.proxy.port, blob, clients);
  await line.stored(blob);
  return seconds;
}

/** One client, and many at once, against a direct pull over the same line. */
export const cold: Topic = {
  name: 'cold',
  about: 'cold blobs of 256 MiB over a line of 100 MB/s, against a direct pull from the primary',
  async measure(bench) {
    const size = (bench.isQuick ? 16 : 256) * MIB;
    const { runs } = bench;
    const alone = await relayAlone(bench, size);
    const line = await startLine(bench, REPOSITORY, { rate: RATE });
    const shares: number[] = [];
    try {
      // Connections and code that are not warm yet are the first byte's matter.
      await coldPull(line, await newBlob(line, 16 * MIB, 'first'), 1);
      const known = await newBlob(line, size, 'direct');
      const measured = await inTurns(runs, {
        direct: () => line.pull(line.link.port, known),
        one: async (turn) => coldPull(line, await newBlob(line, size, `one ${turn}`), 1),
        async many(turn) {
          const blob = await newBlob(line, size, `many ${turn}`);
          await line.link.bytes();
          const seconds = await coldPull(line, blob, CLIENTS);
          // Heads of answers, and whatever else is asked meanwhile, are some hundredths of a percent.
          shares.push(Math.round(((await line.link.bytes()) / size) * 100) / 100);
          return seconds;
        },
      });
      const { direct, one, many } = measured;
      const last = `${CLIENTS} clients, until the last one is done`;
      return [
        { name: 'direct pull from the primary', value: median(direct), unit: 's', runs },
        { name: 'one client', value: median(one), unit: 's', runs },
        {
          name: 'one client, against a direct pull',
          value: ratio(one, direct),
          unit: 'x',
          limit: { atMost: 1.05 },
          runs,
        },
        { name: last, value: median(many), unit: 's', runs },
        {
          name: `${last}, against a direct pull`,
          value: ratio(many, direct),
          unit: 'x',
          limit: { atMost: 1.15 },
          runs,
        },
        {
          name: `bytes over the line for ${CLIENTS} clients`,
          value: median(shares),
          unit: 'x',
          limit: { atMost: 1 },
          runs,
        },
        { name: 'peak memory', value: line.proxy.peakMemory() / MIB, unit: 'MiB', limit: { atMost: 200 }, runs: 1 },
        { name: 'the relay that makes the line, without a limit', value: alone, unit: 'MB/s', runs },
      ];
    } finally {
      await line.close();
    }
  },
};
