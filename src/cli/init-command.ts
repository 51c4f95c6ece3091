// The command `init`, as the command line declares it; it loads what it needs when it runs.
import { Option, type Command } from 'commander';

const AFTER = `
At a terminal it asks for what no option says; each answer is tried at once. Without a terminal, and with --yes, what is
missing is named in a line each. Answers come from options, else from GEO_ variables of the environment, else from an
earlier proxy.env in the directory. The files are proxy.env, the systemd unit, the nginx site and the notification block
for the primary. Then the checks of doctor run, which push an image of some bytes to the secondary and delete it again,
unless --read-only is given.

Exit codes:
  0    the files are written, and the checks found no failure
  1    it could not be done; no file was written
  2    wrong usage, or something is missing or wrong: see each line
  3    the files are written, and a check failed
  130  interrupted`;

/** What the command line gives. */
export interface InitOptions {
  readonly primary?: string;
  readonly secondary?: string;
  readonly url?: string;
  readonly key?: string;
  readonly cert?: string;
  readonly ca?: string;
  readonly realm?: string;
  readonly issuer?: string;
  readonly service?: string;
  readonly keyId?: string;
  readonly primaryAuth?: string;
  readonly secondaryAuth?: string;
  readonly clients?: string;
  readonly replication?: string;
  readonly site?: string;
  readonly dataDir?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly out: string;
  readonly readOnly?: true;
  readonly yes?: true;
  readonly force?: true;
}

async function run(options: InitOptions): Promise<void> {
  const { init } = await import('./init.ts');
  process.exitCode = await init(options);
  // As `doctor`: what hangs does not keep the process.
  setTimeout(() => process.exit(), LEAVE).unref();
}

const LEAVE = 2_000;
const AUTH = ['key', 'docker-config', 'none'] as const;

/** Adds `init`. */
export function addInit(program: Command): void {
  program
    .command('init')
    .description(
      'look at both registries, and write proxy.env, the systemd unit, the nginx site and the notification block',
    )
    .option('--primary <url>', "the primary registry's URL")
    .option('--secondary <url>', "the local registry's URL")
    .option('--url <url>', 'the URL that clients pull from, and that notifications go to')
    .option('--key <file>', 'the private key that the registries trust')
    .option('--cert <file>', "certificates or public keys that clients' tokens may be signed with")
    .option('--ca <file>', "more certificate authorities for the registries' TLS")
    .option('--realm <url>', 'the token service that clients are sent to; that of the local registry by default')
    .option('--issuer <name>', 'the issuer of tokens; found by trying by default')
    .option('--service <name>', 'the audience of tokens; that of the registries by default')
    .addOption(
      new Option('--key-id <form>', 'how tokens name their key; found by trying').choices([
        'libtrust',
        'rfc7638',
        'x5c',
      ]),
    )
    .addOption(new Option('--primary-auth <how>', 'how the proxy logs in to the primary').choices(AUTH))
    .addOption(new Option('--secondary-auth <how>', 'how the proxy logs in to the local registry').choices(AUTH))
    .addOption(new Option('--clients <how>', 'how clients log in to the proxy').choices(['token', 'none']))
    .addOption(
      new Option('--replication <state>', "off where GitLab Geo's container registry replication runs").choices([
        'on',
        'off',
      ]),
    )
    .option('--site <name>', "this site's name; the host name by default")
    .option('--data-dir <dir>', 'the data directory; /var/lib/geo-registry-proxy by default')
    .option('--tls-cert <file>', "the public host's certificate, for nginx")
    .option('--tls-key <file>', 'its key')
    .option('--out <dir>', 'where the files are written', 'geo-registry-proxy')
    .option('--read-only', 'send the secondary nothing that writes or deletes')
    .option('--yes', 'ask nothing: take what is found')
    .option('--force', 'replace files that are there and differ')
    .addHelpText('after', AFTER)
    .action(run);
}
