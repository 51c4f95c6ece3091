// How long the program takes to be there.
import { startSites } from '../../test/support/sites.ts';
import type { Topic } from './bench.ts';
import { environment } from './environment.ts';
import { median } from './figure.ts';
import { startProxyProcess } from './proxy-process.ts';

/** From the start of the process to the first connection that it takes. */
export const start: Topic = {
  name: 'start',
  about: 'the program by itself',
  async measure({ bin, runs }) {
    const sites = await startSites();
    const times: number[] = [];
    try {
      for (let run = 0; run < runs; run += 1) {
        const proxy = await startProxyProcess(bin, environment(sites));
        times.push(proxy.startup);
        await proxy.stop();
      }
    } finally {
      await sites.close();
    }
    return [{ name: 'start to listening', value: median(times), limit: { atMost: 1_000 }, unit: 'ms', runs }];
  },
};
