// The command `doctor`, as the command line declares it; it loads what it needs when it runs.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { registryUrl } from '../config/address.ts';
import { inspectConfig } from '../config/config.ts';
import { machine, WrongValue } from '../config/variable.ts';
import type { NotificationKind } from '../doctor/notifications.ts';

const AFTER = `
Works with and without a running server; every check has a time limit. An image of some bytes is pushed to
geo-registry-proxy/doctor in the secondary and deleted again, unless --read-only is given. The name
of that repository stays in the catalog of some registries (Distribution): none deletes repositories.

Exit codes:
  0    all is well, or there are warnings only
  1    the configuration is wrong
  2    wrong usage
  3    something failed
  130  interrupted; what was pushed is deleted first`;

interface Options {
  readonly json?: true;
  readonly readOnly?: true;
  readonly notifications?: NotificationKind | true;
  readonly url?: URL;
}

function readUrl(text: string): URL {
  try {
    return registryUrl.parse(text, machine);
  } catch (error) {
    if (error instanceof WrongValue)
      throw new InvalidArgumentError(`It ${error.message}; allowed: ${registryUrl.allowed}.`);
    throw error;
  }
}

// What hangs (a disk, say) does not keep the process (ms).
const LEAVE = 2_000;

async function run({ notifications, ...options }: Options): Promise<void> {
  const { doctor, printNotifications } = await import('./doctor.ts');
  if (notifications) printNotifications(notifications, options.url, options);
  else {
    process.exitCode = await doctor(inspectConfig(process.env).config, options);
    setTimeout(() => process.exit(), LEAVE).unref();
  }
}

/** Adds `doctor`. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check what goes wrong in practice, and say what to do')
    .option('--json', 'as JSON')
    .option('--read-only', 'push nothing to the secondary')
    .addOption(
      new Option('--url <url>', "the secondary's public address, to try the webhook by it, or to print").argParser(
        readUrl,
      ),
    )
    .addOption(
      new Option(
        '--notifications [kind]',
        "print the block for the primary registry's configuration, of all kinds or of one, and check nothing",
      ).choices(['gitlab', 'distribution', 'zot'] satisfies NotificationKind[]),
    )
    .addHelpText('after', AFTER)
    .action(run);
}
