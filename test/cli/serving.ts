// A program for the tests of `serve`: real listeners in the place of the proxy, which behave as the arguments say.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { serve, type StartProxy } from '../../src/cli/serve.ts';
import { errorLines, say } from '../../src/cli/output.ts';
import { inspectConfig } from '../../src/config/config.ts';

const behaviour = new Set(process.argv.slice(2));

async function listen({ host, port }: { host: string; port: number }): Promise<() => void> {
  const server = createServer().listen(port, host);
  await once(server, 'listening');
  return () => server.close();
}

const startProxy: StartProxy = async ({ listen: main, adminListen }) => {
  if (behaviour.has('start-fails')) throw new Error('no spool', { cause: new Error('disk on fire') });
  const stops = [await listen(main), await listen(adminListen)];
  if (behaviour.has('start-until-signal')) {
    console.log('starting');
    await once(process, 'SIGTERM');
  }
  return {
    async close() {
      console.log('closing');
      if (behaviour.has('close-hangs')) await once(process, 'never');
      if (behaviour.has('close-fails')) throw new Error('no end');
      for (const stop of stops) stop();
      console.log('closed');
    },
    reload() {
      console.log('reloading');
      if (behaviour.has('reload-fails')) throw new Error('no key');
    },
  };
};

try {
  await serve(inspectConfig(process.env).config, startProxy);
  console.log('listening');
} catch (error) {
  errorLines(error).forEach(say);
  process.exit(1);
}
