import { access } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClientHome } from '../support/client-home.ts';
import { image } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { startSites, type Sites } from '../support/sites.ts';

let sites: Sites;
const pushed = image('sites');

beforeAll(async () => {
  sites = await startSites({ users: { alice: 'secret' }, projects: { alice: { 'group/*': ['pull', 'push'] } } });
  await pushImage(sites.primaryTarget('group/app'), 'v1', pushed);
});
afterAll(() => sites.close());

const get = (url: string | undefined, token: string): Promise<Response> =>
  fetch(`${url}/v2/group/app/manifests/v1`, {
    headers: { authorization: `Bearer ${token}`, accept: pushed.mediaType },
  });

describe('startSites', () => {
  it('has a primary registry behind the relay, with what was pushed', async () => {
    const response = await get(sites.env()['GEO_PRIMARY_URL'], sites.pullToken('group/app'));
    expect(response.headers.get('docker-content-digest')).toBe(pushed.digest);
    expect(sites.relay.count()).toBe(1);
  });

  it('has an empty secondary registry behind its relay, which trusts the same key', async () => {
    const response = await get(sites.env()['GEO_SECONDARY_URL'], sites.pullToken('group/app'));
    expect(response.status).toBe(404);
    expect(sites.localRelay.count()).toBe(1);
  });

  it('gives a token for one repository only', async () => {
    expect((await get(sites.primary.url, sites.pullToken('group/other'))).status).toBe(401);
  });

  it('has a key file and a data directory for the proxy', async () => {
    const { GEO_KEY_FILE: key = '', GEO_DATA_DIR: data = '' } = sites.env();
    await expect(Promise.all([access(key), access(data)])).resolves.toBeDefined();
  });

  it('lets a real client log in at the token service and pull', async () => {
    const home = await createClientHome();
    const registry = `127.0.0.1:${sites.primary.port}`;
    await home.runOrThrow('skopeo', 'login', '--tls-verify=false', '-u', 'alice', '-p', 'secret', registry);
    const inspect = ['inspect', '--raw', '--tls-verify=false', `docker://${registry}/group/app:v1`];
    expect(await home.runOrThrow('skopeo', ...inspect)).toBe(String(pushed.bytes));
    await home.remove();
  });
});
