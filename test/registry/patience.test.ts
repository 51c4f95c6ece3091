// The time of one request.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Patience } from '../../src/registry/patience.ts';

/** The two ends of a connection. */
async function connection(): Promise<readonly [Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return [near, far];
}

test('an answer that came while this process was busy is no time-out', async () => {
  const [near, far] = await connection();
  const patience = new Patience({ registry: 'primary', timeout: 10, isFull: () => false });
  const asked = patience.race(once(near, 'data')).finally(() => patience.stop());
  far.write('the answer');
  // It is there, and the time is over, before anything is read.
  const until = performance.now() + 50;
  while (performance.now() < until);
  expect(String(await asked)).toBe('the answer');
});
