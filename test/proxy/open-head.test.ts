// HEAD where clients have no tokens: whoever asks may be about to push, and must not be told of what only the secondary has.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { image } from '../support/image.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { pushImage } from '../support/push.ts';
import { calm, pushToBoth } from './local-copy.ts';

let site: ProxySite;
beforeAll(async () => {
  site = await startProxySite({ env: { GEO_CLIENT_AUTH: 'none' } });
});
afterAll(() => site.close());

const ask = (path: string, method: 'GET' | 'HEAD') => site.ask(path, { method, token: '' });

test('is the primary’s word for a blob and a digest; a pull is served from here all the same', async () => {
  const pushed = image('open');
  await pushImage(site.secondaryTarget('open/lost'), 'v1', pushed);
  for (const path of [`blobs/${pushed.blobs[0]!.digest}`, `manifests/${pushed.digest}`]) {
    expect((await ask(`open/lost/${path}`, 'HEAD')).status, path).toBe(404);
    expect((await ask(`open/lost/${path}`, 'GET')).status, path).toBe(200);
  }
});

test('is that of our copy while the primary does not answer', async () => {
  const pushed = image('open both');
  await pushToBoth(site, 'open/both', 'v1', pushed);
  const paths = [`blobs/${pushed.blobs[0]!.digest}`, `manifests/${pushed.digest}`, 'manifests/v1'];
  for (const path of paths) expect((await ask(`open/both/${path}`, 'HEAD')).status, path).toBe(200);
  const headers = { 'if-none-match': `"${pushed.digest}"` };
  const unchanged = await site.ask(`open/both/manifests/${pushed.digest}`, { method: 'HEAD', token: '', headers });
  expect(unchanged.status).toBe(304);
  await site.relay.down();
  for (const path of paths) {
    const { status, headers } = await ask(`open/both/${path}`, 'HEAD');
    expect({ path, status, length: Number(headers['content-length']) > 0 }).toEqual({
      path,
      status: 200,
      length: true,
    });
  }
  await calm(site);
});
