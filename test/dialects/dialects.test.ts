// Each registry that cannot be had here, as a double, as the primary: with nothing but its URL and credentials.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { artifact, dockerManifest, image, index, type Manifest } from '../support/image.ts';
import { blob } from '../support/content.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { deleteManifest, pushImage, putManifest, type Target } from '../support/push.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { tempDir, waitFor, type TempDir } from '../support/tool.ts';
import { DIALECTS } from './dialects.ts';
import { LOGIN, startDouble, type Double } from './double.ts';
import type { Change } from './notifications.ts';

const EVENTS_TOKEN = 'a secret of the primary';

const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

interface Status {
  readonly replication: {
    readonly runs: { readonly backfill: { endedAt: string | null; error: string | null } | null };
    readonly tags: Readonly<Record<'synced' | 'failed' | 'pending' | 'syncing', number>>;
  };
}

describe.each(DIALECTS)('$name', (dialect) => {
  let behind: Registry;
  let primary: Double;
  let site: ProxySite;
  let scratch: TempDir;

  const target = (repository: string): Target => ({ url: behind.url, repository });

  beforeAll(async () => {
    scratch = await tempDir();
    behind = await startRegistry({ name: 'behind', deleteEnabled: true });
    primary = await startDouble(dialect, behind.url);
    const auth = Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64');
    const auths = Object.fromEntries(primary.hosts.map((host) => [host, { auth }]));
    await writeFile(join(scratch.path, 'config.json'), JSON.stringify({ auths }));
    vi.stubEnv('DOCKER_CONFIG', scratch.path);
    for (let nth = 0; nth < 5; nth += 1) await pushImage(target('group/many'), `v${nth}`, image(`many ${nth}`));
    site = await startProxySite({
      secondary: { deleteEnabled: true },
      env: {
        GEO_PRIMARY_URL: primary.url.href,
        GEO_PRIMARY_AUTH: 'docker-config',
        GEO_REPLICATION: 'on',
        GEO_EVENTS_TOKEN: EVENTS_TOKEN,
      },
    });
  });
  afterEach(() => {
    vi.stubEnv('DOCKER_CONFIG', scratch.path);
  });
  afterAll(async () => {
    await site.close();
    await primary.close();
    await behind.close();
    await scratch.remove();
    vi.unstubAllEnvs();
  });

  async function expectManifest(path: string, pushed: Manifest): Promise<void> {
    const answer = await site.ask(path, { headers: { accept: ACCEPT } });
    expect({ status: answer.status, digest: answer.headers['docker-content-digest'] }).toEqual({
      status: 200,
      digest: pushed.digest,
    });
    expect(answer.body.equals(pushed.bytes)).toBe(true);
  }

  function askLimited() {
    return site.ask('group/many/manifests/v0', { headers: { accept: ACCEPT } });
  }

  /** The status of a manifest in the secondary itself. */
  async function statusHere(repository: string, reference: string): Promise<number> {
    const { url, token } = site.secondaryTarget(repository);
    const headers = { authorization: `Bearer ${token}`, accept: ACCEPT };
    return (await fetch(`${url}/v2/${repository}/manifests/${reference}`, { method: 'HEAD', headers })).status;
  }

  /** Sends what the product sends for a change; whether it sends anything. */
  async function notify(change: Change): Promise<boolean> {
    const body = dialect.notification(change);
    if (body === undefined) return false;
    const answer = await fetch(`${site.proxy.url}/api/v4/container_registry_event/events`, {
      method: 'POST',
      headers: { authorization: EVENTS_TOKEN, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(200);
    return true;
  }

  async function status(): Promise<Status> {
    return (await (await fetch(`${site.proxy.adminUrl}/api/status`)).json()) as Status;
  }

  test.runIf(dialect.isLimited)(
    'a client is told that the primary refuses more for now, and when to come again',
    async () => {
      expect(await askLimited()).toMatchObject({
        status: 429,
        code: 'TOOMANYREQUESTS',
        headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
      });
      await waitFor(async () => (await askLimited()).status === 200, { what: 'the limit to end', timeout: 30_000 });
    },
  );

  test('an image comes by tag and by digest, with each of its blobs, and is fresh when its tag moves', async () => {
    for (const seed of ['first', 'second']) {
      const pushed = image(`${dialect.name} ${seed}`, { layers: 2, size: 300_000 });
      await pushImage(target('group/app'), 'latest', pushed);
      await expectManifest('group/app/manifests/latest', pushed);
      await expectManifest(`group/app/manifests/${pushed.digest}`, pushed);
      for (const { digest, size } of pushed.blobs) {
        const { status: code, body } = await site.ask(`group/app/blobs/${digest}`);
        expect({ code, size: body.length }).toEqual({ code: 200, size });
      }
    }
  });

  test('an index, schema 2 and an artifact come as they are', async () => {
    const list = index([image(`${dialect.name} amd64`), image(`${dialect.name} arm64`)]);
    const docker = dockerManifest({ layers: [blob(2_000, `${dialect.name} docker`)] });
    const signature = artifact(list, 'example/signature', blob('signed'));
    await pushImage(target('group/kinds'), 'list', list);
    await pushImage(target('group/kinds'), 'docker', docker);
    await pushImage(target('group/kinds'), undefined, signature);
    await putManifest(target('group/kinds'), list.digest.replace(':', '-'), index([signature]));
    await expectManifest('group/kinds/manifests/list', list);
    for (const child of list.children) await expectManifest(`group/kinds/manifests/${child.digest}`, child);
    await expectManifest('group/kinds/manifests/docker', docker);
    await expectManifest(`group/kinds/manifests/${signature.digest}`, signature);
    // It has no referrers: a client has to see that, and asks for the tag instead.
    expect((await site.ask(`group/kinds/referrers/${list.digest}`)).status).toBe(404);
  });

  test('what is not there is 404, in whatever words', async () => {
    const asked = { headers: { accept: ACCEPT } };
    expect(await site.ask('group/app/manifests/v9', asked)).toMatchObject({ status: 404, code: 'MANIFEST_UNKNOWN' });
    expect((await site.ask('group/none/manifests/v1', asked)).status).toBe(404);
    expect((await site.ask(`group/app/blobs/sha256:${'0'.repeat(64)}`)).status).toBe(404);
  });

  test('a list of tags is whole, however it is paged', async () => {
    const tags: string[] = [];
    let path = 'group/many/tags/list?n=2';
    for (let pages = 0; path !== ''; pages += 1) {
      expect(pages).toBeLessThan(6);
      const { status: code, body, headers } = await site.ask(path);
      expect(code).toBe(200);
      tags.push(...(JSON.parse(body.toString()) as { tags: string[] }).tags);
      const [, next = ''] = /^<([^>]+)>; *rel="?next/.exec(headers['link'] ?? '') ?? [];
      path = next.replace(/^.*\/v2\//, '');
    }
    expect(tags.toSorted()).toEqual(['v0', 'v1', 'v2', 'v3', 'v4']);
  });

  test('its notification of a push brings the image, and that of a deletion removes it, where it sends one', async () => {
    const pushed = image(`${dialect.name} notified`);
    const change = { repository: 'group/notified', tag: 'v1', digest: pushed.digest };
    await pushImage(target(change.repository), 'v1', pushed);
    await notify({ ...change, action: 'push' });
    await waitFor(async () => (await statusHere(change.repository, 'v1')) === 200, {
      what: 'the pushed tag in the secondary',
      timeout: 30_000,
    });
    await deleteManifest(target(change.repository), pushed.digest);
    if (await notify({ ...change, action: 'delete' })) {
      await waitFor(async () => (await statusHere(change.repository, 'v1')) === 404, {
        what: 'the removal of the tag',
        timeout: 30_000,
      });
    }
    expect(await site.metric('events_total', { result: 'malformed' })).toBe(0);
  });

  test('a backfill copies all that its catalog has, and without one says so', async () => {
    const order = await fetch(`${site.proxy.adminUrl}/api/replication/backfill`, { method: 'POST' });
    await order.body?.cancel();
    const run = await waitFor(
      async () => {
        const { backfill } = (await status()).replication.runs;
        return backfill?.endedAt ? backfill : undefined;
      },
      { what: 'the backfill to end', timeout: 30_000 },
    );
    if (dialect.catalog === 'yes') {
      expect(run.error).toBeNull();
      for (const tag of ['v0', 'v4'])
        await waitFor(async () => (await statusHere('group/many', tag)) === 200, {
          what: `${tag} in the secondary`,
          timeout: 30_000,
        });
    } else if (dialect.catalog !== 'empty') expect(run.error).toContain('catalog');
    // What was pulled is kept up all the same, and nothing was taken away.
    await waitFor(
      async () => {
        const { pending, syncing } = (await status()).replication.tags;
        return pending + syncing === 0;
      },
      { what: 'the queue to be empty', timeout: 60_000 },
    );
    const { tags } = (await status()).replication;
    expect(tags.failed).toBe(0);
    expect(tags.synced).toBeGreaterThan(0);
  });

  test('while it is down, what was pulled is served', async () => {
    await primary.down();
    const answer = await site.ask('group/app/manifests/latest', { headers: { accept: ACCEPT } });
    expect(answer.status).toBe(200);
    expect(answer.headers['warning']).toContain('primary');
  });
});
