// What the demo shows, step by step; each step checks what it says.
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../test/support/image.ts';
import { createOciLayout } from '../test/support/oci-layout.ts';
import type { Registry } from '../test/support/registry.ts';
import { waitFor } from '../test/support/tool.ts';
import { detail, expectThat, readableTraffic, step } from './demo-report.ts';
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

/** Builds an image that says `message` and pushes it to the primary registry with skopeo. */
async function pushToPrimary(
  { client, scratch, primaryHost }: Stage,
  message: string,
  name = image,
): Promise<Manifest> {
  const { reference, manifest } = await createOciLayout({ dir: await mkdtemp(join(scratch, 'built-')), message });
  const copy = ['copy', '--quiet', '--dest-tls-verify=false', '--dest-creds', `${user}:${password}`];
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

interface Rows {
  readonly replication: { readonly tags: { readonly pending: number; readonly syncing: number } };
}

/** Whether replication has nothing to do: what it asks the primary would be counted as a pull's. */
async function isQuiet({ adminHost }: Stage): Promise<boolean> {
  const { replication } = (await (await fetch(`http://${adminHost}/api/status`)).json()) as Rows;
  return replication.tags.pending + replication.tags.syncing === 0;
}

/** The image is only at the primary: it comes through, and stays here. */
async function showMiss(stage: Stage): Promise<Manifest> {
  step(`A real image is pushed to the primary: ${stage.primaryHost}/${image}`);
  const pushed = await pushToPrimary(stage, 'hello');
  detail(`skopeo pushed busybox, ${pushed.digest}`);
  expectThat(!(await holdsTag(stage, stage.sites.secondary, pushed)), 'the secondary has the image before any pull');

  step('Cold pull through the proxy: a miss, read through from the primary');
  const { client, proxyHost, sites } = stage;
  await client.runOrThrow('skopeo', 'login', '--tls-verify=false', '-u', user, '-p', password, proxyHost);
  sites.relay.reset();
  expectDigest(await pull(stage), pushed);
  detail(readableTraffic(sites.relay.requests));
  const copied = async (): Promise<boolean> => (await copiesDone(stage)) > 0 && (await isQuiet(stage));
  await waitFor(copied, { what: 'the image to be stored in the secondary registry', timeout: 20_000 });
  expectThat(await holdsTag(stage, sites.secondary, pushed), 'the secondary does not have what was pulled');
  detail('the secondary registry now holds the image');
  return pushed;
}

/** The image is here: the primary is only asked whether the tag moved. */
async function showHit({ sites, ...stage }: Stage, pushed: Manifest): Promise<void> {
  step('Warm pull: a hit, only the tag is looked up at the primary');
  sites.relay.reset();
  expectDigest(await pull({ sites, ...stage }), pushed);
  detail(readableTraffic(sites.relay.requests));
  expectThat(sites.relay.bodyBytes() === 0, 'content of the image crossed to the primary again');
  expectThat(sites.relay.count() <= 2, 'more than a look-up of the tag crossed to the primary');
}

async function showPrimaryGone(stage: Stage, pushed: Manifest): Promise<void> {
  const { sites, proxyHost } = stage;
  step('The primary registry is stopped: the image can still be pulled');
  await sites.primary.stop();
  expectDigest(await pull(stage), pushed);
  const { status, headers } = await headTag(stage, `http://${proxyHost}`, pushed.mediaType);
  expectThat(status === 200 && headers.has('warning'), `a HEAD of the tag gave ${status} without a warning`);
  detail(`Warning: ${headers.get('warning')}`);
  detail('(a client without a token still needs the token service: on a GitLab secondary that is the primary site)');
  // From now on the primary tells of its pushes; before, the pulls above were to find an empty secondary.
  await sites.primary.start({ notifications: stage.notifications });
  const isFresh = async (): Promise<boolean> => {
    return !(await headTag(stage, `http://${proxyHost}`, pushed.mediaType)).headers.has('warning');
  };
  await waitFor(isFresh, { what: 'the proxy to ask the primary again', timeout: 60_000 });
  detail('the primary is back, and the proxy asks it again');
}

async function showRefusedPush({ client, scratch, proxyHost, primaryHost }: Stage): Promise<void> {
  step('A push to the proxy is refused; the client prints:');
  const { reference } = await createOciLayout({ dir: join(scratch, 'refused'), message: 'never' });
  const copy = ['copy', '--quiet', '--dest-tls-verify=false', reference, `docker://${proxyHost}/${repository}:2.0`];
  const { code, stderr } = await client.run('skopeo', ...copy);
  expectThat(code !== 0, 'the push went through');
  const message = stderr.trim().split('\n').at(-1) ?? '';
  detail(/msg="(?<text>.*)"$/.exec(message)?.groups?.['text']?.replaceAll(String.raw`\"`, '"') ?? message);
  expectThat(message.includes(primaryHost), `the refusal does not say where to push: ${stderr}`);
}

async function showMovedTag(stage: Stage, before: Manifest): Promise<void> {
  step('The tag is pushed again to the primary: the next pull through the proxy sees it at once');
  const pushed = await pushToPrimary(stage, 'hello again');
  expectThat(pushed.digest !== before.digest, 'the new image is the old one');
  stage.sites.relay.reset();
  expectDigest(await pull(stage), pushed);
  detail(`${before.digest.slice(0, 19)}… became ${pushed.digest.slice(0, 19)}…`);
  detail(`${readableTraffic(stage.sites.relay.requests)}: the busybox layer was here`);
}

/** Nobody pulls: the primary's notification brings the image here. */
async function showReplication(stage: Stage): Promise<void> {
  const name = 'demo/notified';
  step(`Another image is pushed to the primary, and nobody pulls it: ${stage.primaryHost}/${name}:1.0`);
  const pushed = await pushToPrimary(stage, 'notified', `${name}:1.0`);
  const begin = performance.now();
  const isHere = (): Promise<boolean> => holdsTag(stage, stage.sites.secondary, pushed, name);
  await waitFor(isHere, { what: 'the image to be replicated', timeout: 20_000 });
  const seconds = ((performance.now() - begin) / 1_000).toFixed(1);
  detail(`the primary's notification brought it: ${seconds} s after the push the secondary registry has it`);
}

/** Shows it all; throws at the first step that does not show what it should. */
export async function showAll(stage: Stage): Promise<void> {
  const pushed = await showMiss(stage);
  await showHit(stage, pushed);
  await showPrimaryGone(stage, pushed);
  await showRefusedPush(stage);
  await showMovedTag(stage, pushed);
  await showReplication(stage);
}
