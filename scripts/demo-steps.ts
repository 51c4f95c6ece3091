// What the demo shows, step by step; each step checks what it says.
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../test/support/image.ts';
import { createOciLayout } from '../test/support/oci-layout.ts';
import type { Registry } from '../test/support/registry.ts';
import { waitFor } from '../test/support/tool.ts';
import { detail, expectThat, readableTraffic, shown, stepHeadline } from './demo-report.ts';
import { password, repository, user, type Stage } from './demo-sites.ts';

const image = `${repository}:1.0`;

/** Pulls the image as a real client and gives the digest that it got, or an Error with what the client printed. */
async function pull({ client, scratch, proxyHost }: Stage): Promise<string> {
  const dir = await mkdtemp(join(scratch, 'pulled-'));
  const digestFile = join(dir, 'digest');
  const copy = ['copy', '--quiet', '--preserve-digests', '--digestfile', digestFile, '--src-tls-verify=false'];
  await client.runOrThrow('skopeo', ...copy, `docker://${proxyHost}/${image}`, `oci:${dir}/image:latest`);
  return (await readFile(digestFile, 'utf8')).trim();
}

/** Builds an image that prints `message` and pushes it to the primary registry with skopeo. */
async function pushToPrimary(
  { client, scratch, primaryHost }: Stage,
  message: string,
  name = image,
): Promise<Manifest> {
  const { reference, manifest } = await createOciLayout({ dir: await mkdtemp(join(scratch, 'built-')), message });
  const copy = ['copy', '--quiet', '--dest-tls-verify=false'];
  await client.runOrThrow('skopeo', ...copy, reference, `docker://${primaryHost}/${name}`);
  return manifest;
}

/** How many images the proxy has copied into the secondary registry, by its own count. */
async function copiesDone({ adminHost }: Stage): Promise<number> {
  const metrics = await (await fetch(`http://${adminHost}/metrics`)).text();
  return Number(
    /^geo_registry_copies_total\{.*result="synced".*\} (?<count>\d+)$/m.exec(metrics)?.groups?.['count'] ?? 0,
  );
}

/** Asks a registry or the proxy for the image's tag itself, with a token of the token service. */
async function headTag({ sites }: Stage, url: string, accept: string, name = repository): Promise<Response> {
  const headers = { accept, authorization: `Bearer ${sites.pullToken(name)}` };
  return fetch(`${url}/v2/${name}/manifests/1.0`, { method: 'HEAD', headers });
}

async function holdsTag(stage: Stage, registry: Registry, manifest: Manifest, name = repository): Promise<boolean> {
  const response = await headTag(stage, registry.url, manifest.mediaType, name);
  return response.headers.get('docker-content-digest') === manifest.digest;
}

function expectDigest(pulled: string, pushed: Manifest): void {
  expectThat(pulled === pushed.digest, `the client got ${pulled}, pushed was ${pushed.digest}`);
}

const short = (digest: string): string => `${digest.slice(0, 19)}…`;

interface Rows {
  readonly replication: { readonly tags: { readonly pending: number; readonly syncing: number } };
}

/** Whether replication has nothing to do: what it asks the primary would be counted as a pull's. */
async function isQuiet({ adminHost }: Stage): Promise<boolean> {
  const { replication } = (await (await fetch(`http://${adminHost}/api/status`)).json()) as Rows;
  return replication.tags.pending + replication.tags.syncing === 0;
}

async function showPush(stage: Stage): Promise<Manifest> {
  const { client, primaryHost, proxyHost, sites } = stage;
  for (const host of [primaryHost, proxyHost]) {
    await client.runOrThrow('skopeo', 'login', '--tls-verify=false', '-u', user, '-p', password, host);
  }
  detail(`skopeo copy … docker://${primaryHost}/${image}`);
  const pushed = await pushToPrimary(stage, 'Hello from the primary registry. This is version 1.0.');
  shown(`the primary registry has ${image} (${short(pushed.digest)})`);
  expectThat(!(await holdsTag(stage, sites.secondary, pushed)), 'the secondary has the image before any pull');
  shown('the secondary registry does not have it yet');
  return pushed;
}

/** The image is only at the primary: it comes through, and is stored. */
async function showMiss(stage: Stage, pushed: Manifest): Promise<Manifest> {
  const { proxyHost, sites } = stage;
  detail(`skopeo copy docker://${proxyHost}/${image} …`);
  sites.relay.reset();
  expectDigest(await pull(stage), pushed);
  shown('the client got the image, byte for byte');
  detail(readableTraffic(sites.relay.requests));
  const copied = async (): Promise<boolean> => (await copiesDone(stage)) > 0 && (await isQuiet(stage));
  await waitFor(copied, { what: 'the image to be stored in the secondary registry', timeout: 20_000 });
  expectThat(await holdsTag(stage, sites.secondary, pushed), 'the secondary does not have what was pulled');
  shown('the secondary registry has it now');
  return pushed;
}

/** The secondary has the image: the primary is only asked whether the tag moved. */
async function showHit({ sites, ...stage }: Stage, pushed: Manifest): Promise<Manifest> {
  sites.relay.reset();
  expectDigest(await pull({ sites, ...stage }), pushed);
  shown('the client got the same image');
  expectThat(sites.relay.bodyBytes() === 0, 'content of the image crossed from the primary again');
  expectThat(sites.relay.count() <= 2, 'more than a look-up of the tag crossed to the primary');
  shown(readableTraffic(sites.relay.requests));
  return pushed;
}

async function showPrimaryGone(stage: Stage, pushed: Manifest): Promise<Manifest> {
  const { sites, proxyHost } = stage;
  await sites.primary.stop();
  detail('the primary registry is stopped');
  expectDigest(await pull(stage), pushed);
  shown('the client got the local copy');
  const { status, headers } = await headTag(stage, `http://${proxyHost}`, pushed.mediaType);
  expectThat(status === 200 && headers.has('warning'), `a HEAD of the tag gave ${status} without a warning`);
  shown(`with a header that says so: Warning: ${headers.get('warning')}`);
  // From now on the primary notifies of its pushes; before, the pulls above were to find an empty secondary.
  await sites.primary.start({ notifications: stage.notifications });
  const isFresh = async (): Promise<boolean> => {
    return !(await headTag(stage, `http://${proxyHost}`, pushed.mediaType)).headers.has('warning');
  };
  await waitFor(isFresh, { what: 'the proxy to ask the primary again', timeout: 60_000 });
  shown('the primary registry is started again, and the proxy asks it again');
  return pushed;
}

async function showMovedTag(stage: Stage, before: Manifest): Promise<Manifest> {
  const pushed = await pushToPrimary(stage, 'Hello again: the tag was pushed a second time.');
  expectThat(pushed.digest !== before.digest, 'the new image is the old one');
  stage.sites.relay.reset();
  expectDigest(await pull(stage), pushed);
  shown(`the next pull got the new image: ${short(pushed.digest)} instead of ${short(before.digest)}`);
  const largest = Math.max(...pushed.blobs.map(({ size }) => size));
  expectThat(stage.sites.relay.bodyBytes() < largest, 'a layer that the secondary has crossed from the primary again');
  shown('only the changed layer was transferred: the large one is in the secondary registry');
  detail(readableTraffic(stage.sites.relay.requests));
  return pushed;
}

/** Without a pull: the primary's notification starts the copy. */
async function showReplication(stage: Stage, before: Manifest): Promise<Manifest> {
  const name = 'demo/notified';
  detail(`skopeo copy … docker://${stage.primaryHost}/${name}:1.0, and no pull`);
  const pushed = await pushToPrimary(stage, 'Hello from an image that arrived without a pull.', `${name}:1.0`);
  const begin = performance.now();
  const isHere = (): Promise<boolean> => holdsTag(stage, stage.sites.secondary, pushed, name);
  await waitFor(isHere, { what: 'the image to be replicated', timeout: 20_000 });
  const seconds = ((performance.now() - begin) / 1_000).toFixed(1);
  shown(`${seconds} s after the push the secondary registry has it: the primary notified the proxy`);
  return before;
}

async function showRefusedPush(stage: Stage, before: Manifest): Promise<Manifest> {
  const { client, scratch, proxyHost, primaryHost } = stage;
  const { reference } = await createOciLayout({ dir: join(scratch, 'refused'), message: 'never' });
  const copy = ['copy', '--quiet', '--dest-tls-verify=false', reference, `docker://${proxyHost}/${repository}:2.0`];
  const { code, stderr } = await client.run('skopeo', ...copy);
  expectThat(code !== 0, 'the push went through');
  const message = /unsupported: .* instead/.exec(stderr)?.[0] ?? '';
  expectThat(message.includes(primaryHost), `the refusal does not say where to push: ${stderr}`);
  shown('the push failed, and skopeo prints:');
  detail(`  ${message}`);
  return before;
}

interface DemoStep {
  readonly title: string;
  /** Shows it, and gives the image that the tag means afterwards. */
  show(stage: Stage, image: Manifest): Promise<Manifest>;
}

const steps: readonly DemoStep[] = [
  { title: 'An image is pushed to the primary', show: showPush },
  {
    title: 'First pull through the proxy: the image comes from the primary, and is stored in the secondary',
    show: showMiss,
  },
  {
    title: 'Second pull: the image comes from the secondary; the primary is only asked what the tag means',
    show: showHit,
  },
  { title: 'The primary registry is down: the image can still be pulled', show: showPrimaryGone },
  { title: 'The tag is pushed again: the next pull gets the new image', show: showMovedTag },
  { title: 'Another image is pushed: it arrives in the secondary without a pull', show: showReplication },
  { title: 'A push to the proxy is refused, and the client is told where to push', show: showRefusedPush },
];

/** The steps' titles, in their order. */
export const titles: readonly string[] = steps.map(({ title }) => title);

/** Shows it all; throws at the first step that does not show what it should. */
export async function showAll(stage: Stage): Promise<void> {
  let current: Manifest | undefined;
  for (const [index, { title, show }] of steps.entries()) {
    stepHeadline(index + 1, title);
    current = await show(stage, current as Manifest);
  }
}
