// The demo: two real registries, a token service, the proxy, a real image. `--once` ends by itself when all was shown.
import { relative } from 'node:path';
import { toolPath } from '../test/support/tool.ts';
import { say } from './demo-report.ts';
import { password, repository, setTheStage, user, type Stage } from './demo-sites.ts';
import { showAll } from './demo-steps.ts';

/** What a Ctrl-C throws into the demo. */
class Interrupted extends Error {}

function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    // More than once for one Ctrl-C: the terminal sends it, and npm hands it on. One stop in order is wanted.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => reject(new Interrupted(signal)));
  });
}

function introduce({ sites, proxyHost, adminHost }: Stage): void {
  say('Two sites on this machine, with registries that trust tokens of one key:');
  say(`  primary registry    ${sites.primary.url}`);
  say(`  secondary registry  ${sites.secondary.url}`);
  say(`  token service       ${sites.tokens.realm}`);
  say(`  proxy               http://${proxyHost}  in front of the secondary: this is what clients use`);
  say(`  administration      http://${adminHost}/metrics`);
}

function invite({ proxyHost, primaryHost }: Stage): void {
  const skopeo = relative(process.cwd(), toolPath('skopeo')) || 'skopeo';
  const image = `${proxyHost}/${repository}:1.0`;
  say(`All is up until Ctrl-C. To try it as user "${user}" with password "${password}":`);
  say(`  docker login -u ${user} -p ${password} ${proxyHost}`);
  say(`  docker pull ${image}`);
  say('or with the skopeo that the set-up brought:');
  say(`  ${skopeo} inspect --tls-verify=false --creds ${user}:${password} docker://${image}`);
  say(`Pushes go to the primary, for example to ${primaryHost}/demo/other:1.0`);
}

async function demonstrate(stack: AsyncDisposableStack, once: boolean): Promise<void> {
  const stage = await setTheStage(stack);
  introduce(stage);
  try {
    await showAll(stage);
  } catch (error) {
    throw new Error(`${(error as Error).message}\nThe proxy's last words:\n${lastWords(stage)}`, { cause: error });
  }
  say();
  say('All steps showed what they should.');
  if (once) return;
  invite(stage);
  const ended = await stage.proxy.ended;
  throw new Error(`the proxy ended by itself (${ended}):\n${lastWords(stage)}`);
}

function lastWords({ proxy }: Stage): string {
  return proxy.log().trimEnd().split('\n').slice(-20).join('\n');
}

/** Gives the exit code. All that was started is stopped before it returns. */
async function main(): Promise<number> {
  try {
    await using stack = new AsyncDisposableStack();
    await Promise.race([demonstrate(stack, process.argv.includes('--once')), interruption()]);
  } catch (error) {
    if (error instanceof Interrupted) return 0;
    console.error(`\nThe demo failed: ${(error as Error).message}`);
    return 1;
  }
  return 0;
}

process.exit(await main());
