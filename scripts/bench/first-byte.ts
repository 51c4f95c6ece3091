// How much later the first byte of a cold blob comes than from the primary itself.
import { largeBlob } from '../../test/support/content.ts';
import { pushBlob } from '../../test/support/push.ts';
import { startSites } from '../../test/support/sites.ts';
import type { Topic } from './bench.ts';
import { environment, pullHeaders } from './environment.ts';
import { median } from './figure.ts';
import { startProxyProcess } from './proxy-process.ts';

const SIZE = 8 * 1024 * 1024;
const REPOSITORY = 'bench/first-byte';

/** The first byte of a cold blob through the proxy against the primary's own, turn by turn. */
export const firstByte: Topic = {
  name: 'first-byte',
  about: 'a cold blob on loopback, one client',
  async measure({ bin, load, runs }) {
    const turns = runs * 3;
    const sites = await startSites();
    const proxy = await startProxyProcess(bin, environment(sites));
    const headers = pullHeaders(sites, REPOSITORY);
    const measured: { readonly direct: number; readonly cold: number }[] = [];
    try {
      // The first turn opens the connections.
      for (let turn = 0; turn <= turns; turn += 1) {
        const blob = await largeBlob(SIZE, `first-byte-${turn}`);
        await pushBlob(sites.primaryTarget(REPOSITORY), blob);
        const requests = [{ method: 'GET', path: `/v2/${REPOSITORY}/blobs/${blob.digest}`, headers }] as const;
        const read = async (port: number): Promise<number> =>
          (await load.runAll({ kind: 'download', port, requests, atOnce: 1 })).firstByte;
        const [direct, cold] = [await read(sites.primary.port), await read(proxy.port)];
        if (turn > 0) measured.push({ direct, cold });
      }
    } finally {
      await proxy.stop();
      await sites.close();
    }
    const difference = median(measured.map(({ direct, cold }) => cold - direct));
    return [
      {
        name: 'first byte, primary itself',
        value: median(measured.map(({ direct }) => direct)),
        unit: 'ms',
        runs: turns,
      },
      {
        name: 'first byte, cold through the proxy',
        value: median(measured.map(({ cold }) => cold)),
        unit: 'ms',
        runs: turns,
      },
      { name: 'first byte, difference', value: difference, limit: { atMost: 20 }, unit: 'ms', runs: turns },
    ];
  },
};
