// An address whose SYNs are not answered: a stopped process with a full backlog.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { startProcess } from '../support/process.ts';
import { waitFor } from '../support/tool.ts';
import { scaled } from '../support/patience.ts';

export interface BlackHole {
  readonly url: URL;
  close(): Promise<void>;
}

const PROGRAM =
  "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log('port', s.address().port));";

/** Resolves when connections to the address are neither taken nor refused. */
export async function startBlackHole(): Promise<BlackHole> {
  const holder = startProcess(process.execPath, ['--eval', PROGRAM]);
  await waitFor(() => /port \d+\n/.test(holder.log()), { what: 'the port' });
  const port = Number(/port (\d+)/.exec(holder.log())![1]);
  process.kill(holder.pid, 'SIGSTOP');
  const sockets: Socket[] = [];
  for (let isTaken = true; isTaken;) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    sockets.push(socket);
    const isLost = AbortSignal.timeout(scaled(200));
    isTaken = await once(socket, 'connect', { signal: isLost }).then(
      () => true,
      () => false,
    );
  }
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    async close() {
      for (const socket of sockets) socket.destroy();
      await holder.stop('SIGKILL');
    },
  };
}
