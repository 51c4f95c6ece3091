// What the demo ends with: a block of shell commands that can be copied whole, for the client that this machine has.
import { existsSync } from 'node:fs';
import { run, toolPath } from '../test/support/tool.ts';
import { clone, password, repository, user, type Stage } from './demo-sites.ts';

/** The container client that the commands are written for. */
export type DemoClient = 'docker' | 'podman' | 'skopeo';

async function works(command: string): Promise<boolean> {
  try {
    // `docker version` fails without an engine.
    return (await run(command, ['version'], { timeout: 5_000 })).code === 0;
  } catch {
    return false;
  }
}

/** Docker where its engine answers, else podman where it is configured, else the skopeo that the set-up brought. */
export async function findClient(): Promise<DemoClient> {
  if (await works('docker')) return 'docker';
  // Podman that is only unpacked has no policy, without which it pulls nothing.
  return existsSync('/etc/containers/policy.json') && (await works('podman')) ? 'podman' : 'skopeo';
}

interface Commands {
  readonly login: readonly string[];
  readonly pull: readonly string[];
  readonly push: readonly string[];
  readonly pullAgain: readonly string[];
  readonly refused: readonly string[];
  /** Comments with what removes the traces that the block leaves; none where all goes with the demo. */
  readonly afterwards: readonly string[];
}

function engineCommands(engine: 'docker' | 'podman', { proxyHost, primaryHost }: Stage): Commands {
  // Docker speaks plain HTTP to registries at loopback addresses by itself.
  const plain = engine === 'docker' ? '' : ' --tls-verify=false';
  const [here, there] = [proxyHost, primaryHost].map((host) => `${host}/${repository}`);
  const login = (host: string): string => {
    return `echo ${password} | ${engine} login${plain} --username ${user} --password-stdin ${host}`;
  };
  return {
    login: [login(proxyHost), login(primaryHost)],
    pull: [`${engine} run --rm${plain} ${here}:1.0`],
    push: [
      `container=$(${engine} create ${here}:1.0)`,
      `${engine} commit --change 'CMD ["echo", "Hello from version 2.0, pushed a moment ago."]' $container ${there}:2.0`,
      `${engine} rm $container`,
      `${engine} push${plain} ${there}:2.0`,
    ],
    pullAgain: [`${engine} run --rm${plain} ${here}:2.0`],
    refused: [`${engine} push${plain} ${here}:2.0`],
    afterwards: [
      `# Afterwards: ${engine} rmi ${here}:1.0 ${here}:2.0 ${there}:2.0`,
      `#             ${engine} logout ${proxyHost}; ${engine} logout ${primaryHost}`,
    ],
  };
}

function skopeoCommands({ proxyHost, primaryHost, scratch, client }: Stage): Commands {
  const [here, there] = [proxyHost, primaryHost].map((host) => `docker://${host}/${repository}`);
  const copy = 'skopeo copy --src-tls-verify=false --dest-tls-verify=false';
  const dir = `dir:${scratch}/tried`;
  return {
    login: [
      `skopeo() { ${toolPath('skopeo')} --insecure-policy "$@"; }`,
      `export REGISTRY_AUTH_FILE=${client.env['REGISTRY_AUTH_FILE']}`,
    ],
    pull: [`${copy} ${here}:1.0 ${dir}`],
    push: [`${copy} ${dir} ${there}:2.0`],
    pullAgain: [`skopeo inspect --tls-verify=false --format '{{.Name}} {{.Digest}}' ${here}:2.0`],
    refused: [`${copy} ${dir} ${here}:2.0`],
    afterwards: [],
  };
}

/** The block, line by line: what it is, then the command, for each thing to try. */
export function tryBlock(stage: Stage, client: DemoClient): string[] {
  const { adminHost, envFile } = stage;
  const commands = client === 'skopeo' ? skopeoCommands(stage) : engineCommands(client, stage);
  return [
    `cd ${clone}`,
    `geo() { node_modules/.bin/node -- bin/geo-registry-proxy.cjs --env-file ${envFile} "$@"; }`,
    ...commands.login,
    '# Pull through the proxy:',
    ...commands.pull,
    '# Push to the primary; the pull right after it gets what was pushed:',
    ...commands.push,
    ...commands.pullAgain,
    '# A push to the proxy is refused, and says where to push:',
    ...commands.refused,
    '# The proxy’s settings, its state, and a check of all around it:',
    `cat ${envFile}`,
    'geo status',
    'geo doctor',
    `# The status page, in a browser: http://${adminHost}/`,
    ...commands.afterwards,
  ];
}
