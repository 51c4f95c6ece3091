// How long the program takes to be there: its files beside their libraries, all of it in one file, and with Node inside.
import { join } from 'node:path';
import { startSites, type Sites } from '../../test/support/sites.ts';
import { tempDir } from '../../test/support/tool.ts';
import { buildBundle } from '../build-bundle.mjs';
import { buildExecutable } from '../build-executable.mjs';
import { inTurns, type Topic } from './bench.ts';
import { environment } from './environment.ts';
import { median, ratio, type Figure } from './figure.ts';
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
    const memory: Record<'files' | 'bundle' | 'executable', number[]> = { files: [], bundle: [], executable: [] };
    try {
      const bundle = join(scratch.path, 'geo-registry-proxy.mjs');
      const times = await inTurns(runs, {
        files: startup(bin, sites, memory.files),
        bundle: startup(bundle, sites, memory.bundle),
        executable: startup(executable, sites, memory.executable),
      });
      return [
        { name: 'start to listening', value: median(times.files), limit: { atMost: 1_000 }, unit: 'ms', runs },
        ...(['bundle', 'executable'] as const).flatMap((form): Figure[] => [
          { name: `start to listening, ${form}`, value: median(times[form]), unit: 'ms', runs },
          {
            name: `start to listening, ${form} against the files`,
            value: ratio(times[form], times.files),
            limit: { atMost: 0.5 },
            unit: 'x',
            runs,
          },
        ]),
        ...Object.entries(memory).map(([form, values]): Figure => ({
          name: `peak memory when it listens, ${form}`,
          value: median(values),
          unit: 'MiB',
          runs,
        })),
      ];
    } finally {
      await sites.close();
    }
  },
};
