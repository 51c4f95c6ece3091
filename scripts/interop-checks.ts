// What a proxy between two registries must do, whatever they are: each check begins with what it pushes itself.
import { blob } from '../test/support/content.ts';
import { artifact, dockerManifest, image, index, manifest, type Manifest } from '../test/support/image.ts';
import type { ProxySite } from '../test/support/proxy.ts';
import { deleteManifest, pushImage, putManifest } from '../test/support/push.ts';
import { waitFor } from '../test/support/tool.ts';

/** Rejects with what was not so. */
export type InteropCheck = (site: ProxySite) => Promise<void>;

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

/** The status of a manifest in the secondary itself, past the proxy. */
async function statusHere(site: ProxySite, repository: string, reference: string): Promise<number> {
  const { url, token } = site.secondaryTarget(repository);
  const headers = { authorization: `Bearer ${token}`, accept: ACCEPT };
  const answer = await fetch(`${url}/v2/${repository}/manifests/${reference}`, { method: 'HEAD', headers });
  return answer.status;
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
    readonly runs: Readonly<Record<'backfill' | 'verify', { endedAt: string | null; error: string | null } | null>>;
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
  async 'backfill brings what no event told of'(site) {
    const rule = { match: () => true, answer: { status: 503, headers: {}, body: '' } };
    // Nothing is asked of the primary while it pushes: its events find a proxy that cannot copy.
    site.relay.rules.push(rule);
    await pushImage(site.primaryTarget('interop/backfill'), 'v1', image('interop backfill'));
    site.relay.reset();
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
