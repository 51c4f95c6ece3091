// Memory with many readers of one large cold blob.
import { largeBlob } from '../../test/support/content.ts';
import { pushBlob } from '../../test/support/push.ts';
import { startSites } from '../../test/support/sites.ts';
import type { Topic } from './bench.ts';
import { environment, pullHeaders } from './environment.ts';
import { startProxyProcess } from './proxy-process.ts';

const MIB = 1024 * 1024;
const READERS = 16;
const REPOSITORY = 'bench/memory';

/** The peak of the process's memory while each of many readers takes all of a cold blob. */
export const memory: Topic = {
  name: 'memory',
  about: `peak memory of the process, ${READERS} readers of one cold blob`,
  async measure({ bin, load, isQuick }) {
    const size = (isQuick ? 64 : 1_024) * MIB;
    const sites = await startSites();
    const proxy = await startProxyProcess(bin, environment(sites));
    try {
      const blob = await largeBlob(size, 'memory');
      await pushBlob(sites.primaryTarget(REPOSITORY), blob);
      const headers = pullHeaders(sites, REPOSITORY);
      const request = { method: 'GET', path: `/v2/${REPOSITORY}/blobs/${blob.digest}`, headers } as const;
      const idle = proxy.peakMemory();
      const requests = Array.from({ length: READERS }, () => request);
      const read = await load.runAll({ kind: 'download', port: proxy.port, requests, atOnce: READERS });
      if (read.bytes !== READERS * size) throw new Error('a reader got too little');
      const peak = proxy.peakMemory();
      const name = `${READERS} readers of a cold blob of ${size / MIB} MiB`;
      return [
        { name: 'peak memory, idle', value: idle / MIB, unit: 'MiB', runs: 1 },
        { name: `peak memory, ${name}`, value: peak / MIB, limit: { atMost: 200 }, unit: 'MiB', runs: 1 },
        { name: `time, ${name}`, value: read.seconds, unit: 's', runs: 1 },
      ];
    } finally {
      await proxy.stop();
      await sites.close();
    }
  },
};
