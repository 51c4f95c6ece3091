// A primary that means harm, in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { HostileOptions, HostileReply } from './hostile-process.ts';

/** A port of 127.0.0.1 where it is asked. */
export interface HostilePrimary {
  readonly port: number;
  readonly url: string;
  /** Requests that came since the last call. */
  requests(): Promise<number>;
  stop(): void;
}

const processFile = fileURLToPath(new URL('./hostile-process.ts', import.meta.url));

/** Starts one. It ends with this process at the latest. */
export async function startHostilePrimary(options: HostileOptions): Promise<HostilePrimary> {
  const child = fork(processFile, [JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const reply = async (): Promise<HostileReply> => ((await once(child, 'message')) as [HostileReply])[0];
  const first = await reply();
  const port = 'port' in first ? first.port : 0;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async requests() {
      child.send('requests');
      const told = await reply();
      return 'requests' in told ? told.requests : 0;
    },
    stop: () => void child.disconnect(),
  };
}
