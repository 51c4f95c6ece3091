// To be preloaded (`--import`) by the proxy: how late its event loop is. Each SIGUSR2 writes the 99th percentile and the
// maximum (ms, as JSON) since the one before to LOOP_DELAY_FILE, and begins anew.
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const file = process.env['LOOP_DELAY_FILE'];

if (isMainThread && file !== undefined) {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  process.on('SIGUSR2', () => {
    writeFileSync(file, JSON.stringify({ p99: histogram.percentile(99) / 1e6, most: histogram.max / 1e6 }));
    histogram.reset();
  });
}
