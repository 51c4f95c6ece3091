// Two registries on one bucket of a real S3 server, and the proxy between them with GEO_STORE=off: `npm run try:shared-storage`,
// with versitygw (github.com/versity/versitygw/cmd/versitygw, of its Go module) in PATH or named by VERSITYGW. Exit code 1
// where something is not as docs/operating.md says.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { blob } from '../test/support/content.ts';
import { manifest, type Manifest } from '../test/support/image.ts';
import { startProcess, waitUntilReady } from '../test/support/process.ts';
import { startProxySite, type ProxySite } from '../test/support/proxy.ts';
import { deleteManifest, pushImage } from '../test/support/push.ts';
import { freePort, tempDir } from '../test/support/tool.ts';

const gateway = process.env['VERSITYGW'] ?? 'versitygw';
const BUCKET = 'registry';
const CREDENTIALS = { accesskey: 'key', secretkey: 'a secret of the bucket' };
const ROUNDS = 30;
const REPOSITORY = 'group/app';

function expectThat(isSo: boolean, text: string): void {
  if (!isSo) throw new Error(`not so: ${text}`);
  console.log(`  ok  ${text}`);
}

const layerOf = (round: number) => blob(100_000, `shared storage ${round}`);

function imageOf(round: number): Manifest {
  return manifest({ config: blob(JSON.stringify({ round })), layers: [layerOf(round)] });
}

async function withRedirect(url: string, token: string): Promise<{ status: number; location: string }> {
  const answer = await fetch(url, { redirect: 'manual', headers: { authorization: `Bearer ${token}` } });
  await answer.body?.cancel();
  return { status: answer.status, location: answer.headers.get('location') ?? '' };
}

/** Every push and every move of a tag is read at once, deletes too. */
async function tryFreshness(site: ProxySite): Promise<void> {
  const target = site.primaryTarget(REPOSITORY);
  let stale = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const pushed = imageOf(round);
    await pushImage(target, 'latest', pushed);
    const { status, headers } = await site.ask(`${REPOSITORY}/manifests/latest`);
    if (status !== 200 || headers['docker-content-digest'] !== pushed.digest) stale += 1;
  }
  expectThat(stale === 0, `${ROUNDS} pushes to one tag, each pulled right after it: none stale, none missing`);
  const deleted = imageOf(0);
  await pushImage(target, 'deleted', deleted);
  expectThat((await site.ask(`${REPOSITORY}/manifests/deleted`)).status === 200, 'a tag that will be deleted is there');
  await deleteManifest(target, deleted.digest);
  expectThat((await site.ask(`${REPOSITORY}/manifests/deleted`)).status === 404, 'a deleted tag is 404 at once');
}

async function main(): Promise<void> {
  await using scratch = await tempDir();
  const [port, root] = [await freePort(), join(scratch.path, 'buckets')];
  await mkdir(join(root, BUCKET), { recursive: true });
  const storage = startProcess(gateway, [
    '--port',
    `127.0.0.1:${port}`,
    '--access',
    CREDENTIALS.accesskey,
    '--secret',
    CREDENTIALS.secretkey,
    '--quiet',
    'posix',
    root,
  ]);
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(storage, async () => (await fetch(url)).status > 0, 'the S3 server');
  const s3 = {
    ...CREDENTIALS,
    region: 'us-east-1',
    regionendpoint: url,
    bucket: BUCKET,
    forcepathstyle: true,
    secure: false,
    encrypt: false,
  };
  const site = await startProxySite({
    primary: { s3, deleteEnabled: true },
    secondary: { s3, readOnly: true },
    env: { GEO_STORE: 'off', GEO_REPLICATION: 'off' },
  });
  try {
    console.log('clients that reach the storage (GEO_SECONDARY_REDIRECT=pass)');
    await tryFreshness(site);
    const layer = layerOf(1);
    const path = `${REPOSITORY}/blobs/${layer.digest}`;
    const asked = await withRedirect(`${site.proxy.url}/v2/${path}`, site.pullToken(REPOSITORY));
    expectThat(
      asked.status === 307 && asked.location.startsWith(url),
      'a layer is answered with a redirect to the storage',
    );
    const followed = await fetch(asked.location);
    const bytes = Buffer.from(await followed.arrayBuffer());
    expectThat(bytes.equals(layer.bytes), 'and comes from there, byte for byte');

    console.log('clients that do not (GEO_SECONDARY_REDIRECT=stream)');
    await site.restart({ GEO_STORE: 'off', GEO_REPLICATION: 'off', GEO_SECONDARY_REDIRECT: 'stream' });
    const streamed = await site.ask(path);
    expectThat(streamed.status === 200 && streamed.body.equals(layer.bytes), 'the layer comes through the proxy');
    await tryFreshness(site);

    const crossed = site.relay.bodyBytes(({ path: asking }) => asking.includes('/blobs/'));
    expectThat(crossed === 0, 'no byte of a layer came from the primary registry');
    const writes = site.localRelay.count(({ method }) => method !== 'GET' && method !== 'HEAD');
    expectThat(writes === 0, 'the secondary registry was never written to');
    await site.relay.down();
    const stale = await site.ask(`${REPOSITORY}/manifests/latest`);
    expectThat(
      stale.status === 200 && 'warning' in stale.headers,
      'with the primary down the tag is served, with a warning',
    );
  } finally {
    await site.close();
    await storage.stop();
  }
  console.log('one storage for both sites works');
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
