// The limit of open files: one that the configuration cannot work with is refused before anything starts.
import { expect, test } from 'vitest';
import { openFilesNeeded } from '../../src/config/open-files.ts';
import { environment } from '../config/environment.ts';
import { startProcess } from '../support/process.ts';
import { waitFor } from '../support/tool.ts';
import { entry } from './process.ts';

const usual = openFilesNeeded({ fetchConnections: 16, replicationConcurrency: 4 });

/** `serve` where `limits` were set before, as `ulimit` takes them. */
function serving(limits: string, env: NodeJS.ProcessEnv = {}): ReturnType<typeof startProcess> {
  const listeners = { GEO_LISTEN: '127.0.0.1:0', GEO_ADMIN_LISTEN: '127.0.0.1:0' };
  const command = `ulimit ${limits} && exec "$0" -- "$@" serve`;
  return startProcess('bash', ['-c', command, process.execPath, entry], {
    env: { PATH: process.env['PATH'], ...environment(), ...listeners, ...env },
  });
}

test('a limit that is too low is refused with what was given, what is needed, and what to do', async () => {
  const server = serving('-n 300');
  expect(await server.ended).toBe(1);
  expect(server.log()).toBe(
    `geo-registry-proxy: 300 open files are allowed, and this configuration needs ${usual} ` +
      '(GEO_FETCH_CONNECTIONS is 16, GEO_REPLICATION_CONCURRENCY 4): LimitNOFILE=65536 in the unit, ' +
      'ulimit -n 65536 before the start, --ulimit nofile=65536 of the container\n',
  );
});

test('what is needed grows with the configuration', async () => {
  const server = serving('-n 1024', { GEO_FETCH_CONNECTIONS: '512' });
  expect(await server.ended).toBe(1);
  expect(server.log()).toContain('1024 open files are allowed, and this configuration needs 1936 ');
});

test.each(['-n 1024', `-n ${usual}`, '-Sn 300'])('%s is enough for what is set by itself', async (limits) => {
  const server = serving(limits);
  await waitFor(() => server.log().includes('"listening"'), { what: 'the server to listen', timeout: 20_000 });
  await server.stop();
});
