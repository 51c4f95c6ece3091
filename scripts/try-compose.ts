// Runs both files of deploy/compose with a Docker Engine of its own and images that are made here, since none can be pulled:
// `npm run try:compose`, as root, with debootstrap, iptables, a mirror of Debian, and Docker Compose (v2 or newer) named by COMPOSE
// (`docker-compose` when absent). The commands are those that stand at the head of each file.
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { importBaseImage } from '../test/docker/base-image.ts';
import { startDockerEngine, type DockerEngine } from '../test/support/dockerd.ts';
import { image } from '../test/support/image.ts';
import { createSiteKeys } from '../test/support/keys.ts';
import { pushImage } from '../test/support/push.ts';
import { startSites } from '../test/support/sites.ts';
import { freePort, run, runOrThrow, tempDir, toolPath, waitFor } from '../test/support/tool.ts';

const clone = resolve(import.meta.dirname, '..');
const folder = join(clone, 'deploy/compose');
const compose = process.env['COMPOSE'] ?? 'docker-compose';
const TIMEOUT = 600_000;

function say(text: string): void {
  console.log(text);
}

function expectThat(isSo: boolean, text: string): void {
  if (!isSo) throw new Error(`not so: ${text}`);
  say(`  ok  ${text}`);
}

/** Debian's registry and nginx in one image, which stands for both `registry:2` and `nginx:stable`. */
async function importParts(engine: DockerEngine, scratch: string): Promise<void> {
  const root = join(scratch, 'parts');
  const packages = 'docker-registry,nginx-light,openssl,ca-certificates';
  await runOrThrow('debootstrap', ['--variant=minbase', `--include=${packages}`, 'bookworm', root], {
    timeout: TIMEOUT,
  });
  await copyFile(join(root, 'usr/bin/docker-registry'), join(root, 'usr/bin/registry'));
  const archive = join(scratch, 'parts.tar');
  await runOrThrow('tar', ['-C', root, '-cf', archive, '.'], { timeout: TIMEOUT });
  await engine.dockerOrThrow('import', '--change', 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin', archive, 'parts');
}

/** `docker build` of an image that holds one file. */
async function buildHello(engine: DockerEngine, scratch: string, name: string): Promise<void> {
  const context = join(scratch, 'hello');
  await mkdir(context);
  await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY hello.txt /\nCMD ["/hello"]\n');
  await writeFile(join(context, 'hello.txt'), 'hello\n');
  await engine.dockerOrThrow('build', '--tag', name, context);
}

type Compose = (...args: string[]) => Promise<string>;

function composeWith(engine: DockerEngine, env: Readonly<Record<string, string>>, cwd: string): Compose {
  const all = {
    ...engine.home.env,
    DOCKER_HOST: engine.host,
    // The engine's own builder: BuildKit is a plug-in that a machine may not have.
    DOCKER_BUILDKIT: '0',
    COMPOSE_BAKE: 'false',
    NODE_IMAGE: 'base',
    REGISTRY_IMAGE: 'parts',
    NGINX_IMAGE: 'parts',
    ...env,
  };
  return (...args) => runOrThrow(compose, args, { env: all, cwd, timeout: TIMEOUT });
}

function askStatus(): Promise<Response> {
  return fetch('http://127.0.0.1:6081/api/status', { headers: { authorization: 'Bearer demo-admin-token' } });
}

/** The commands at the head of compose.yaml, in their order. */
async function tryDemo(engine: DockerEngine, scratch: string): Promise<void> {
  say('compose.yaml');
  const docker = composeWith(engine, {}, folder);
  const [primary, secondary] = ['localhost:5443', 'localhost:6443'];
  try {
    await docker('up', '--build', '--detach', '--wait');
    const credentials = ['--username', 'demo', '--password', 'demo-password'];
    for (const host of [primary, secondary]) await engine.dockerOrThrow('login', ...credentials, host);
    say('  ok  logged in to both sites');
    await buildHello(engine, scratch, 'hello-world');
    await engine.dockerOrThrow('tag', 'hello-world', `${primary}/demo/hello:1.0`);
    const pushed = /digest: (sha256:\w+)/.exec(await engine.dockerOrThrow('push', `${primary}/demo/hello:1.0`))?.[1];
    const pulled = await engine.dockerOrThrow('pull', `${secondary}/demo/hello:1.0`);
    expectThat(
      pushed !== undefined && pulled.includes(pushed),
      `a pull through the proxy gets what was pushed, ${pushed}`,
    );
    await engine.dockerOrThrow('tag', 'hello-world', `${secondary}/demo/hello:2.0`);
    const refused = await engine.docker('push', `${secondary}/demo/hello:2.0`);
    expectThat(
      refused.code !== 0 && /push to localhost:5443/.test(refused.stderr),
      'a push to it is refused, with where to push',
    );
    const synced = await waitFor(
      async () => {
        const { replication, webhook } = (await (await askStatus()).json()) as {
          replication: { tags: { synced: number } };
          webhook: { lastCallAt: string | null };
        };
        return replication.tags.synced > 0 && webhook.lastCallAt !== null;
      },
      { what: 'the notification of the push', timeout: 60_000 },
    );
    expectThat(synced, 'the primary notified the proxy, and the image is synced');
    expectThat((await fetch('http://127.0.0.1:6081/')).status === 200, 'the status page answers');
  } catch (error) {
    say(await docker('logs', '--no-color'));
    throw error;
  } finally {
    await docker('down', '--volumes', '--timeout', '5');
  }
}

/** A port on all addresses that leads to a port of loopback: containers do not reach that. */
async function startPassage(port: number): Promise<{ port: number; close: () => void }> {
  const server = createServer((client) => {
    const behind = connect(port, '127.0.0.1');
    client.pipe(behind).pipe(client);
    for (const socket of [client, behind]) socket.on('error', () => [client, behind].forEach((one) => one.destroy()));
  });
  await new Promise<void>((done) => server.listen(0, '0.0.0.0', done));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** in-front.yaml before two registries of this machine. */
async function tryInFront(engine: DockerEngine, scratch: string): Promise<void> {
  say('in-front.yaml');
  const sites = await startSites();
  const tls = await createSiteKeys({ hosts: ['localhost'] });
  const passages = await Promise.all(
    [sites.primary.url, sites.secondary.url].map((url) => startPassage(Number(new URL(url).port))),
  );
  const [primary, secondary] = passages.map(({ port }) => `http://host.docker.internal:${port}`);
  const keyFile = join(scratch, 'gitlab-registry.key');
  await copyFile(sites.keys.keyFile, keyFile);
  // The container's user is another one than ours.
  await chmod(scratch, 0o755);
  await chmod(keyFile, 0o444);
  const {
    GEO_KEY_FILE: _key,
    GEO_DATA_DIR: _data,
    GEO_LISTEN: _listen,
    GEO_ADMIN_LISTEN: _admin,
    ...rest
  } = sites.env();
  const variables = { ...rest, GEO_PRIMARY_URL: primary, GEO_SECONDARY_URL: secondary, GEO_REPLICATION: 'off' };
  const envFile = join(scratch, 'proxy.env');
  await writeFile(
    envFile,
    Object.entries(variables)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const port = await freePort();
  const env = {
    PROXY_ENV: envFile,
    KEY_FILE: keyFile,
    TLS_CERT: tls.certFile,
    TLS_KEY: tls.keyFile,
    HTTPS_PORT: String(port),
    HTTP_PORT: String(await freePort()),
  };
  const docker = composeWith(engine, env, folder);
  const file = ['--file', 'in-front.yaml'];
  try {
    await docker(...file, 'up', '--build', '--detach', '--wait');
    const pushed = image('in front of a registry that is there');
    await pushImage(sites.primaryTarget('group/app'), 'v1', pushed);
    const asked = await run(toolPath('curl'), [
      '--silent',
      '--show-error',
      '--cacert',
      tls.certFile,
      '--header',
      `Authorization: Bearer ${sites.pullToken('group/app')}`,
      '--header',
      `Accept: ${pushed.mediaType}`,
      `https://localhost:${port}/v2/group/app/manifests/v1`,
    ]);
    expectThat(asked.stdout === pushed.bytes.toString(), 'a manifest comes over TLS, from the primary');
  } catch (error) {
    say(await docker(...file, 'logs', '--no-color'));
    throw error;
  } finally {
    await docker(...file, 'down', '--volumes', '--timeout', '5');
    for (const passage of passages) passage.close();
    await Promise.all([sites.close(), tls.remove()]);
  }
}

async function main(): Promise<void> {
  await using scratch = await tempDir();
  // Not docker0: an engine of this machine, or of a test, makes and removes that.
  const bridge = 'geo-try';
  await runOrThrow('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await runOrThrow('ip', ['address', 'add', '172.29.254.1/24', 'dev', bridge]);
  await runOrThrow('ip', ['link', 'set', bridge, 'up']);
  const engine = await startDockerEngine({ storageDriver: undefined, timeout: TIMEOUT, bridge });
  try {
    say(`${(await runOrThrow(compose, ['version'])).trim()}; making images`);
    await importBaseImage(engine, 'base');
    await importParts(engine, scratch.path);
    await tryDemo(engine, scratch.path);
    await tryInFront(engine, scratch.path);
  } finally {
    await engine.close();
    await run('ip', ['link', 'delete', bridge]);
  }
  say('both files of deploy/compose work');
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
