// The systemd unit.
import { basename } from 'node:path';

/** What the unit has of this site. */
export interface UnitOptions {
  /** Node's executable, and the program's entry. */
  readonly node: string;
  readonly program: string;
  readonly envFile: string;
  readonly dataDir: string;
  /**
   * The key, which systemd then hands over as a credential: the file may belong to root alone. It is a copy of the time of
   * the start, so that a new key needs a restart and not a reload.
   */
  readonly keyFile?: string;
}

const STATE = '/var/lib/';

/** systemd makes the data directory where it is one below /var/lib; any other has to be there, for the proxy's user. */
function dataLines(dataDir: string): string {
  const name = dataDir.startsWith(STATE) ? dataDir.slice(STATE.length) : '';
  const isState = /^[\w.-]+$/.test(name);
  return isState ? `StateDirectory=${name}\nStateDirectoryMode=0700` : `ReadWritePaths=${dataDir}`;
}

/** How the variables reach the program: those of the unit win over the file's, and the credential over the file's path. */
function startLines({ node, program, envFile, keyFile }: UnitOptions): string {
  // The executable with Node inside is both.
  const command = node === program ? program : `${node} -- ${program}`;
  if (keyFile === undefined) return `EnvironmentFile=${envFile}\nExecStart=${command} serve`;
  const name = basename(keyFile);
  return `# The key may belong to root alone. A new one needs a restart. Sites without a key take these two lines out again:
# see no-key.conf.
LoadCredential=${name}:${keyFile}
Environment=GEO_KEY_FILE=%d/${name}
ExecStart=${command} --env-file ${envFile} serve`;
}

/** The unit's text. */
export function systemdUnit(options: UnitOptions): string {
  return `[Unit]
Description=Read-through pull proxy in front of the container registry
Wants=network-online.target
After=network-online.target

[Service]
User=geo-registry-proxy
Group=geo-registry-proxy
# How the heap is kept. Without it the program starts Node twice, the second time with these.
Environment="NODE_OPTIONS=--max-semi-space-size=8 --expose-gc"
${startLines(options)}
# ${options.keyFile === undefined ? 'Keys, certificates' : 'Certificates'} and authorities are read again.
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
# A refused configuration: another start would end the same way.
RestartPreventExitStatus=78
# Longer than GEO_SHUTDOWN_TIMEOUT, so that open transfers may finish.
TimeoutStopSec=45
LimitNOFILE=65536

${dataLines(options.dataDir)}
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
`;
}

/** Whether the unit, which sees no home directories and has a /tmp of its own, can run a file. */
export function isSeenByUnit(file: string): boolean {
  return !/^\/(?:home|root|run\/user|tmp|var\/tmp)(?:\/|$)/.test(file);
}
