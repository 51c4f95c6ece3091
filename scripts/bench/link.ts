// A long line to a registry, in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LinkOptions, LinkReply } from './link-process.ts';

/** A port of 127.0.0.1 at the near end of a line. */
export interface Link {
  readonly port: number;
  readonly url: string;
  /** Bytes that came over it since the last call, heads of answers included. */
  bytes(): Promise<number>;
  stop(): void;
}

const processFile = fileURLToPath(new URL('./link-process.ts', import.meta.url));

/** Starts one. It ends with this process at the latest. */
export async function startLink(options: LinkOptions): Promise<Link> {
  const child = fork(processFile, [JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const reply = async (): Promise<LinkReply> => ((await once(child, 'message')) as [LinkReply])[0];
  const first = await reply();
  const port = 'port' in first ? first.port : 0;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async bytes() {
      child.send('bytes');
      const told = await reply();
      return 'bytes' in told ? told.bytes : 0;
    },
    stop: () => void child.disconnect(),
  };
}
