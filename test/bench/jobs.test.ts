// What the load generator does to those that it floods, and how it counts what does not come.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { work } from '../../scripts/bench/jobs.ts';
import { scaled } from '../support/patience.ts';
import { waitFor } from '../support/tool.ts';

async function serve(answer: RequestListener): Promise<number> {
  const server = createServer({ maxHeaderSize: 128 * 1024 }, answer);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('a flood asks for something else each time, and is gone when its time is over, whatever it waits for', async () => {
  const seen = new Set<string>();
  let [asked, open] = [0, 0];
  const port = await serve((request, response) => {
    seen.add(`${request.url} ${request.headers.accept}`);
    asked += 1;
    open += 1;
    response.once('close', () => (open -= 1));
    // One is left without an answer.
    if (asked > 1) response.end('{}');
  });
  const request = {
    method: 'GET',
    path: '/v2/a/blobs/sha256:#',
    headers: { accept: `x/#${'y'.repeat(60_000)}` },
  } as const;
  const { answers } = await work({
    kind: 'flood',
    port,
    requests: [request],
    connections: 4,
    seconds: scaled(1_000) / 1_000,
  });
  expect(answers).toBeGreaterThan(0);
  expect(answers).toBeLessThan(asked);
  expect(seen.size).toBe(asked);
  expect([...seen][0]).toMatch(/^\/v2\/a\/blobs\/sha256:[0-9a-f]{64} x\/[0-9a-f]{64}yyy/);
  await waitFor(() => open === 0, { what: 'the connections to be cut' });
});

test('an answer that does not come in time is refused, and the next one is asked for all the same', async () => {
  const port = await serve((request, response) => {
    if (request.url === '/late') response.write('a');
    else response.end('ok');
  });
  const requests = ['/late', '/now'].map((path) => ({ method: 'GET', path }) as const);
  const outcome = await work({ kind: 'download', port, requests, atOnce: 1, timeout: 300 });
  expect(outcome).toMatchObject({ answers: 2, refused: 1, bytes: 2 });
});
