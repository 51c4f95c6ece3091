// What a proxy between two registries must do, whatever they are: each check begins with what it pushes itself.
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { blob } from '../test/support/content.ts';
import { artifact, dockerManifest, image, index, manifest, type Manifest } from '../test/support/image.ts';
import type { ProxySite } from '../test/support/proxy.ts';
import { deleteManifest, pushImage, putManifest } from '../test/support/push.ts';
import { waitFor } from '../test/support/tool.ts';

/** Rejects with what was not so; resolves with a text where this kind of registry has no such thing. */
export type InteropCheck = (site: ProxySite) => Promise<string | void>;

/** What the primary sends with its notifications, whole. */
export const EVENTS_TOKEN = 'a secret of the primary';

const PATIENCE = 30_000;
const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

function expectThat(isSo: boolean, text: string): void {
  if (!isSo) throw new Error(text);
}

async function expectManifest(site: ProxySite, path: string, pushed: Manifest): Promise<void> {
  const { status, body, headers } = await site.ask(path, { headers: { accept: ACCEPT } });
  expectThat(status === 200, `${path} is ${status} and not 200`);
  expectThat(body.equals(pushed.bytes), `${path} has other bytes`);
  expectThat(headers['docker-content-digest'] === pushed.digest, `${path} has another digest`);
}

/** A manifest in the secondary itself, past the proxy. */
function headHere(site: ProxySite, repository: string, reference: string): Promise<Response> {
  const { url, token } = site.secondaryTarget(repository);
  const headers = { authorization: `Bearer ${token}`, accept: ACCEPT };
  return fetch(`${url}/v2/${repository}/manifests/${reference}`, { method: 'HEAD', headers });
}

async function statusHere(site: ProxySite, repository: string, reference: string): Promise<number> {
  return (await headHere(site, repository, reference)).status;
}

async function digestHere(site: ProxySite, repository: string, reference: string): Promise<string | null> {
  return (await headHere(site, repository, reference)).headers.get('docker-content-digest');
}

async function untilHere(site: ProxySite, repository: string, reference: string, status: number): Promise<void> {
  await waitFor(async () => (await statusHere(site, repository, reference)) === status, {
    what: `${repository} ${reference} to be ${status} in the secondary`,
    timeout: PATIENCE,
  });
}

async function order(site: ProxySite, action: string): Promise<void> {
  const answer = await fetch(`${site.proxy.adminUrl}/api/replication/${action}`, { method: 'POST' });
  expectThat(answer.status === 202, `${action} is ${answer.status}: ${await answer.text()}`);
}

interface Runs {
  readonly replication: {
    readonly runs: Readonly<
      Record<'backfill' | 'reconcile' | 'verify', { endedAt: string | null; error: string | null } | null>
    >;
    readonly tags: { readonly failed: number; readonly pending: number; readonly syncing: number };
  };
  readonly damaged: number;
}

async function statusOf(site: ProxySite): Promise<Runs> {
  return (await (await fetch(`${site.proxy.adminUrl}/api/status`)).json()) as Runs;
}

async function runToItsEnd(site: ProxySite, kind: 'backfill' | 'verify'): Promise<void> {
  const before = (await statusOf(site)).replication.runs[kind]?.endedAt ?? null;
  await order(site, kind);
  const ended = await waitFor(
    async () => {
      const run = (await statusOf(site)).replication.runs[kind];
      return run !== null && run.endedAt !== null && run.endedAt !== before ? run : undefined;
    },
    { what: `${kind} to end`, timeout: PATIENCE },
  );
  expectThat(ended.error === null, `${kind} ended early: ${ended.error}`);
}

/** Resolves when two compare runs more have ended: the first may have begun before what it is to find. They are ordered by no
 * command, so that for this the proxy is started with a short interval. */
async function compare(site: ProxySite): Promise<void> {
  const restart = (interval: string): Promise<void> => site.restart({ GEO_RECONCILE_INTERVAL: interval });
  await restart('1s');
  try {
    const ended = new Set<string>();
    await waitFor(
      async () => {
        const run = (await statusOf(site)).replication.runs.reconcile;
        if (run?.endedAt && run.error === null) ended.add(run.endedAt);
        return ended.size > 1;
      },
      { what: 'two compare runs to end', timeout: PATIENCE },
    );
  } finally {
    await restart('1h');
  }
}

/** Where a primary with files has a repository: what is moved or removed there is told by no notification. */
function filesOf(site: ProxySite, repository: string): string {
  return join(site.primary.dir, 'docker/registry/v2/repositories', repository);
}

async function renameAtPrimary(site: ProxySite, from: string, to: string): Promise<void> {
  await mkdir(dirname(filesOf(site, to)), { recursive: true });
  await rename(filesOf(site, from), filesOf(site, to));
}

async function notify(site: ProxySite, event: object): Promise<void> {
  const answer = await fetch(`${site.proxy.url}/api/v4/container_registry_event/events`, {
    method: 'POST',
    headers: { authorization: EVENTS_TOKEN, 'content-type': 'application/vnd.docker.distribution.events.v1+json' },
    body: JSON.stringify({ events: [event] }),
  });
  expectThat(answer.status === 200, `a notification is answered ${answer.status}`);
}

/** A repository of one tag that is in the secondary. */
async function replicated(site: ProxySite, repository: string): Promise<Manifest> {
  const pushed = image(repository);
  await pushImage(site.primaryTarget(repository), 'v1', pushed);
  await untilHere(site, repository, 'v1', 200);
  return pushed;
}

/** What clients and the secondary have after a rename. */
async function expectRenamed(site: ProxySite, from: string, to: string, pushed: Manifest): Promise<void> {
  await untilHere(site, to, 'v1', 200);
  await untilHere(site, from, 'v1', 404);
  await expectManifest(site, `${to}/manifests/v1`, pushed);
  const { status } = await site.ask(`${from}/manifests/v1`, { headers: { accept: ACCEPT } });
  expectThat(status === 404, `the tag of the old name is ${status}`);
}

/** Whether a request is for a blob. */
function ofBlobs({ path }: { readonly path: string }): boolean {
  return path.includes('/blobs/');
}

/** By their names, in the order of a matrix's rows. */
export const interopChecks: Readonly<Record<string, InteropCheck>> = {
  async 'cold pull by tag, and each blob'(site) {
    const pushed = image('interop cold');
    await pushImage(site.primaryTarget('interop/cold'), 'v1', pushed);
    await expectManifest(site, 'interop/cold/manifests/v1', pushed);
    for (const { digest, size } of pushed.blobs) {
      const { status, body } = await site.ask(`interop/cold/blobs/${digest}`);
      expectThat(status === 200 && body.length === size, `blob ${digest} is ${status} with ${body.length} bytes`);
    }
  },
  async 'warm pull by digest: no blob crosses again'(site) {
    const pushed = image('interop cold');
    await untilHere(site, 'interop/cold', pushed.digest, 200);
    const before = site.relay.bodyBytes(ofBlobs);
    await expectManifest(site, `interop/cold/manifests/${pushed.digest}`, pushed);
    for (const { digest } of pushed.blobs) await site.ask(`interop/cold/blobs/${digest}`);
    const crossed = site.relay.bodyBytes(ofBlobs) - before;
    expectThat(crossed === 0, `${crossed} bytes of blobs came from the primary`);
  },
  async 'a tag that moves is fresh at once'(site) {
    for (const seed of ['one', 'two', 'three']) {
      const pushed = image(`interop move ${seed}`);
      await pushImage(site.primaryTarget('interop/move'), 'latest', pushed);
      await expectManifest(site, 'interop/move/manifests/latest', pushed);
    }
  },
  async 'a push is refused, with where to push'(site) {
    const { status, code, body } = await site.ask('interop/cold/blobs/uploads/', { method: 'POST' });
    expectThat(status === 405 && code === 'UNSUPPORTED', `the push is ${status} ${code}`);
    expectThat(body.toString().includes('push to '), 'nothing says where to push');
  },
  async 'index with two platforms'(site) {
    const pushed = index([image('interop amd64'), image('interop arm64')]);
    await pushImage(site.primaryTarget('interop/index'), 'v1', pushed);
    await expectManifest(site, 'interop/index/manifests/v1', pushed);
    for (const child of pushed.children) await expectManifest(site, `interop/index/manifests/${child.digest}`, child);
  },
  async 'schema 2'(site) {
    const pushed = dockerManifest({ layers: [blob(2_000, 'interop schema 2')] });
    await pushImage(site.primaryTarget('interop/schema2'), 'v1', pushed);
    await expectManifest(site, 'interop/schema2/manifests/v1', pushed);
  },
  async 'artifact with a subject, and its referrers'(site) {
    const subject = image('interop subject');
    const signature = artifact(subject, 'example/signature', blob('signed'));
    const target = site.primaryTarget('interop/artifact');
    await pushImage(target, 'v1', subject);
    await pushImage(target, undefined, signature);
    // What clients do where the registry has no referrers.
    await putManifest(target, subject.digest.replace(':', '-'), index([signature]));
    await expectManifest(site, `interop/artifact/manifests/${signature.digest}`, signature);
    const { status, body } = await site.ask(`interop/artifact/referrers/${subject.digest}`);
    if (status === 404) {
      const tag = await site.ask(`interop/artifact/manifests/${subject.digest.replace(':', '-')}`, {
        headers: { accept: ACCEPT },
      });
      expectThat(tag.body.includes(signature.digest), 'neither referrers nor their tag name the artifact');
    } else expectThat(body.includes(signature.digest), `referrers (${status}) do not name the artifact`);
  },
  async 'webhook: a push arrives without a pull'(site) {
    await pushImage(site.primaryTarget('interop/pushed'), 'v1', image('interop webhook'));
    await untilHere(site, 'interop/pushed', 'v1', 200);
  },
  async 'webhook: a delete by digest arrives'(site) {
    const pushed = manifest({ config: blob('{"interop":"deleted"}'), layers: [] });
    const target = site.primaryTarget('interop/deleted');
    for (const tag of ['v1', 'v2']) await pushImage(target, tag, pushed);
    await untilHere(site, 'interop/deleted', 'v2', 200);
    await deleteManifest(target, pushed.digest);
    await waitFor(async () => (await site.ask('interop/deleted/manifests/v1')).status === 404, {
      what: 'the deleted tag to be 404',
      timeout: PATIENCE,
    });
    await untilHere(site, 'interop/deleted', pushed.digest, 404);
  },
  async 'webhook: a delete of one tag arrives, its sibling stays'(site) {
    const pushed = image('interop tag delete');
    const target = site.primaryTarget('interop/untagged');
    for (const tag of ['goes', 'stays']) await pushImage(target, tag, pushed);
    for (const tag of ['goes', 'stays']) await untilHere(site, 'interop/untagged', tag, 200);
    const answer = await fetch(`${target.url}/v2/interop/untagged/manifests/goes`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${target.token}` },
    });
    // 2.8 takes digests alone.
    if (answer.status !== 202) return `no tag deletion (${answer.status})`;
    await untilHere(site, 'interop/untagged', 'goes', 404);
    const gone = await site.ask('interop/untagged/manifests/goes', { headers: { accept: ACCEPT } });
    expectThat(gone.status === 404, `the deleted tag is ${gone.status}`);
    expectThat((await statusHere(site, 'interop/untagged', 'stays')) === 200, 'its sibling is gone');
    return undefined;
  },
  async "webhook: a rename arrives, as GitLab's registry tells of it"(site) {
    const [from, to] = ['interop/group/old', 'interop/group/new'];
    const pushed = await replicated(site, from);
    const below = await replicated(site, `${from}/cache`);
    await renameAtPrimary(site, from, to);
    await notify(site, { action: 'rename', target: { repository: from, rename: { type: 'name', from, to } } });
    await expectRenamed(site, from, to, pushed);
    await expectRenamed(site, `${from}/cache`, `${to}/cache`, below);
  },
  async 'compare repairs what differs, is missing, was renamed, or is gone at the primary'(site) {
    const [from, to] = ['interop/compare/old', 'interop/compare/new'];
    const renamed = await replicated(site, from);
    const repository = 'interop/compare/tags';
    const [target, here] = [site.primaryTarget(repository), site.secondaryTarget(repository)];
    const pushed = ['differs', 'missing', 'gone'].map((tag) => [tag, image(`interop compare ${tag}`)] as const);
    for (const [tag, pushedManifest] of pushed) await pushImage(target, tag, pushedManifest);
    for (const [tag] of pushed) await untilHere(site, repository, tag, 200);
    const [[, differs], [, missing]] = pushed as [(typeof pushed)[0], (typeof pushed)[0]];
    // Behind the proxy's back, and told of by no notification.
    await pushImage(here, 'differs', image('interop compare something else'));
    await deleteManifest(here, missing.digest);
    await rm(join(filesOf(site, repository), '_manifests/tags/gone'), { recursive: true });
    await renameAtPrimary(site, from, to);
    await compare(site);
    await untilHere(site, repository, 'missing', 200);
    await untilHere(site, repository, 'gone', 404);
    await waitFor(async () => (await digestHere(site, repository, 'differs')) === differs.digest, {
      what: 'the tag that differed to be as at the primary',
      timeout: PATIENCE,
    });
    await expectRenamed(site, from, to, renamed);
  },
  async 'backfill brings what no event told of'(site) {
    const rule = { match: () => true, answer: { status: 503, headers: {}, body: '' } };
    // Nothing is asked of the primary while it pushes: its events find a proxy that cannot copy.
    site.relay.rules.push(rule);
    await pushImage(site.primaryTarget('interop/backfill'), 'v1', image('interop backfill'));
    site.relay.reset();
    // So many refusals in a row may have opened the circuit breaker.
    await waitFor(async () => (await site.ask('interop/none/manifests/v1')).status === 404, {
      what: 'the primary to be asked again',
      timeout: PATIENCE,
    });
    await runToItsEnd(site, 'backfill');
    await untilHere(site, 'interop/backfill', 'v1', 200);
  },
  async 'verification finds nothing damaged'(site) {
    await waitFor(
      async () => {
        const { pending, syncing } = (await statusOf(site)).replication.tags;
        return pending + syncing === 0;
      },
      { what: 'the queue to be empty', timeout: PATIENCE },
    );
    await runToItsEnd(site, 'verify');
    const { damaged, replication } = await statusOf(site);
    expectThat(damaged === 0, `${damaged} blobs are damaged`);
    expectThat(replication.tags.failed === 0, `${replication.tags.failed} tags fail`);
  },
  async 'doctor finds nothing wrong'(site) {
    const answer = await fetch(`${site.proxy.adminUrl}/api/doctor`);
    const { findings } = (await answer.json()) as {
      findings: { check: string; level: string; text: string }[];
    };
    const bad = findings.filter(({ level }) => level === 'error');
    expectThat(findings.length > 5, `${findings.length} checks`);
    expectThat(bad.length === 0, bad.map(({ check, text }) => `${check}: ${text}`).join('; '));
  },
  async 'local content is served with a warning while the primary is down'(site) {
    await site.relay.down();
    const { status, headers } = await site.ask('interop/pushed/manifests/v1', { headers: { accept: ACCEPT } });
    await site.relay.up();
    expectThat(
      status === 200 && 'warning' in headers,
      `the tag is ${status}, with${'warning' in headers ? '' : 'out'} a warning`,
    );
  },
};
