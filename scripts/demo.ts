// The demo: two real registries, a token service, the proxy, a real image. `--once` ends by itself when all was shown.
import { parseArgs, styleText } from 'node:util';
import { failed, headline, say } from './demo-report.ts';
import { password, setTheStage, user, type Stage } from './demo-sites.ts';
import { showAll, titles } from './demo-steps.ts';
import { findClient, tryBlock } from './demo-try.ts';

const usage = `Usage: npm run demo [-- --once]

Starts two registries, a token service and the proxy on free ports of 127.0.0.1, and shows with real
pushes and pulls what the proxy does. Then all of it stays up until Ctrl-C, with commands to try.

Options:
  --once      end when all steps were shown, with 0 if each showed what it should, else with 1
  -h, --help  print this

Colours are left out where NO_COLOR is set or the output is no terminal. Nothing is left on the machine.`;

/** What a Ctrl-C throws into the demo. */
class Interrupted extends Error {}

function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    // More than once for one Ctrl-C: the terminal sends it, and npm hands it on. One stop in order is wanted.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => reject(new Interrupted(signal)));
  });
}

function announce(): void {
  say(styleText('bold', 'geo-registry-proxy: the demo'));
  say();
  say('Two registries run on this machine, a primary and a secondary, with the proxy in front of the secondary.');
  say('You will see, with real pushes and pulls, in about 15 seconds:');
  for (const [index, title] of titles.entries()) say(`  ${styleText('cyan', `${index + 1}.`)} ${title}`);
}

function introduce({ sites, proxyHost, adminHost }: Stage): void {
  headline('What runs now');
  say(`   proxy               http://${proxyHost}  what clients pull from`);
  say(`   status page         http://${adminHost}/`);
  say(`   primary registry    ${sites.primary.url}  what people push to`);
  say(`   secondary registry  ${sites.secondary.url}`);
  say(`   token service       ${sites.tokens.realm}  as GitLab has one`);
}

async function invite(stage: Stage): Promise<void> {
  headline('Now you');
  say(`All of it stays up until Ctrl-C. Status page: ${styleText('cyan', `http://${stage.adminHost}/`)}`);
  say(`User "${user}", password "${password}". The block between the lines can be copied whole into another terminal:`);
  const line = styleText('gray', '-'.repeat(80));
  say(line);
  for (const command of tryBlock(stage, await findClient())) {
    say(command.startsWith('#') ? styleText('gray', command) : command);
  }
  say(line);
}

async function demonstrate(stack: AsyncDisposableStack, once: boolean): Promise<void> {
  announce();
  const stage = await setTheStage(stack);
  introduce(stage);
  try {
    await showAll(stage);
  } catch (error) {
    throw new Error(`${(error as Error).message}\nThe end of the proxy's log:\n${endOfLog(stage)}`, { cause: error });
  }
  headline(`${styleText('green', '✓')} All ${titles.length} steps showed what they should.`);
  if (once) {
    say('All of it is stopped and removed now. Without --once it stays up, with commands to try: npm run demo');
    return;
  }
  await invite(stage);
  const ended = await stage.proxy.ended;
  throw new Error(`the proxy ended by itself (${ended}):\n${endOfLog(stage)}`);
}

function endOfLog({ proxy }: Stage): string {
  return proxy.log().trimEnd().split('\n').slice(-20).join('\n');
}

/** Shows it, and gives the exit code. All that was started is stopped before it returns. */
async function show(once: boolean): Promise<number> {
  try {
    await using stack = new AsyncDisposableStack();
    await Promise.race([demonstrate(stack, once), interruption()]);
  } catch (error) {
    if (error instanceof Interrupted) return 0;
    failed((error as Error).message);
    return 1;
  }
  return 0;
}

function readArguments(): { readonly once?: boolean; readonly help?: boolean } | undefined {
  try {
    const options = { once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(`${(error as Error).message.split('\n')[0]}\n\n${usage}`);
    return undefined;
  }
}

async function main(): Promise<number> {
  const given = readArguments();
  if (given === undefined) return 2;
  if (given.help !== true) return show(given.once ?? false);
  say(usage);
  return 0;
}

process.exit(await main());
