// How long the program takes to be there: its files beside their libraries, all of it in one file, and with Node inside.
import { join } from 'node:path';
import { startSites, type Sites } from '../../test/support/sites.ts';
import { tempDir } from '../../test/support/tool.ts';
import { buildBundle } from '../build-bundle.mjs';
import { buildExecutable } from '../build-executable.mjs';
import { inTurns, type Topic } from './bench.ts';
import { environment } from './environment.ts';
import { median, ratio } from './figure.ts';
import { startProxyProcess } from './proxy-process.ts';

const MIB = 1024 * 1024;

/** Milliseconds from the start of the process to the first connection that it takes, and the memory that it has then. */
function startup(bin: string, sites: Sites, memory: number[]): () => Promise<number> {
  return async () => {
    const proxy = await startProxyProcess(bin, environment(sites));
    memory.push(proxy.peakMemory() / MIB);
    await proxy.stop();
    return proxy.startup;
  };
}

/** From the start of the process to the first connection that it takes. */
export const start: Topic = {
  name: 'start',
  about: 'the program by itself',
  async measure({ bin, runs }) {
    await using scratch = await tempDir();
    const executable = join(scratch.path, 'executable');
    buildExecutable(await buildBundle(scratch.path), executable);
    const sites = await startSites();
    const [many, one, inside]: [number[], number[], number[]] = [[], [], []];
    try {
      const bundle = join(scratch.path, 'geo-registry-proxy.mjs');
      const { files, file, whole } = await inTurns(runs, {
        files: startup(bin, sites, many),
        file: startup(bundle, sites, one),
        whole: startup(executable, sites, inside),
      });
      return [
        { name: 'start to listening', value: median(files), limit: { atMost: 1_000 }, unit: 'ms', runs },
        { name: 'start to listening, bundled', value: median(file), unit: 'ms', runs },
        {
          name: 'start to listening, bundled, against the files',
          value: ratio(file, files),
          limit: { atMost: 0.5 },
          unit: 'x',
          runs,
        },
        { name: 'start to listening, one executable', value: median(whole), unit: 'ms', runs },
        {
          name: 'start to listening, one executable, against the files',
          value: ratio(whole, files),
          limit: { atMost: 0.5 },
          unit: 'x',
          runs,
        },
        { name: 'peak memory when it listens', value: median(many), unit: 'MiB', runs },
        { name: 'peak memory when it listens, bundled', value: median(one), unit: 'MiB', runs },
        { name: 'peak memory when it listens, one executable', value: median(inside), unit: 'MiB', runs },
      ];
    } finally {
      await sites.close();
    }
  },
};
