// How long a registry's good answer is believed.
import { Readable } from 'node:stream';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Client } from '../../src/registry/client.ts';
import { createPinger } from '../../src/registry/ping.ts';

test('a good answer is not believed any longer when the clock is put back', async () => {
  let asked = 0;
  const client = {
    registry: 'primary',
    breaker: { isOpen: false },
    async send() {
      asked += 1;
      return { statusCode: 200, headers: {}, body: Object.assign(Readable.from([]), { dump: async () => undefined }) };
    },
  } as unknown as Client;
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const ping = createPinger(client, { ttl: 5_000 });
  await ping();
  vi.advanceTimersByTime(4_999);
  await ping();
  expect(asked).toBe(1);
  vi.setSystemTime(Date.now() - 86_400_000);
  vi.advanceTimersByTime(1);
  await ping();
  expect(asked).toBe(2);
});
