// From the answers to the files of a site, and to what is done with them.
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { listenAddress } from '../config/address.ts';
import { machine } from '../config/variable.ts';
import { variables } from '../config/variables.ts';
import { notificationsFor } from '../doctor/notifications.ts';
import type { Answers, Values } from './answers.ts';
import { groupId, USER, type PlannedFile } from './files.ts';
import { proxyEnv } from './proxy-env.ts';
import { nginxSite, omnibusSite } from './site.ts';
import { systemdUnit } from './unit.ts';

/** The files' names in the directory; the notification block has that of its form. */
export const FILES = {
  env: 'proxy.env',
  unit: 'geo-registry-proxy.service',
  site: 'registry.conf',
  omnibusSite: 'gitlab.rb',
  omnibus: 'notifications.rb',
  distribution: 'notifications.yml',
  zot: 'notifications.json',
} as const;

/** Where an Omnibus has its configuration. */
export const OMNIBUS = '/etc/gitlab/gitlab.rb';

/** Where the files are used from. */
export const HOME = '/etc/geo-registry-proxy';

/** What the plan needs of the machine. */
export interface PlanDeps {
  /** Node's executable and the program's entry, for the unit. */
  readonly node: string;
  readonly program: string;
  /** nginx/registry.conf. */
  readonly template: string;
  /** deploy/omnibus/gitlab.rb, where this machine has an Omnibus. */
  readonly omnibusTemplate?: string | undefined;
  /** Reads a file that holds a secret. */
  readonly readSecret: (path: string) => string | undefined;
}

/** A new secret for the webhook: 256 bits. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

const SECRET = '<the value of GEO_EVENTS_TOKEN>';

/** The first of two secrets is the new one while it is changed. */
function firstOf(secrets: string): string {
  return secrets.split(',')[0]!.trim();
}

/** The block for this primary's configuration; undefined for a registry whose notifications have another form. */
function blockFor(
  { publicUrl, primary: { kind }, settings }: Answers,
  secret: string | undefined,
): PlannedFile | undefined {
  const { omnibus, distribution, zot } = notificationsFor(publicUrl);
  const filled = (text: string): string => (secret === undefined ? text : text.replaceAll(SECRET, () => secret));
  const mode = 0o600;
  // JSON has no comments.
  if (kind.id === 'zot') return { name: FILES.zot, text: filled(zot), mode };
  if (kind.id !== 'gitlab' && kind.id !== 'distribution') return undefined;
  const isOmnibus = kind.id === 'gitlab' && settings.tokenIssuer !== 'gitlab-issuer';
  const [name, text, where] = isOmnibus
    ? [FILES.omnibus, omnibus, "the primary's /etc/gitlab/gitlab.rb, beside the endpoints that are there"]
    : [FILES.distribution, distribution, "the primary registry's configuration"];
  return { name, text: `# For ${where}.\n${filled(text)}`, mode };
}

/** The notification block among the files of a site. */
export function blockIn(files: readonly PlannedFile[]): PlannedFile | undefined {
  const names = new Set<string>([FILES.omnibus, FILES.distribution, FILES.zot]);
  return files.find(({ name }) => names.has(name));
}

/** All files of a site. @throws Error where a value cannot stand in one of them */
export function planFiles(answers: Answers, earlier: Values, deps: PlanDeps): PlannedFile[] {
  const {
    GEO_EVENTS_TOKEN: given,
    GEO_EVENTS_TOKEN_FILE: file,
    GEO_LISTEN: listen = variables.listen.default,
  } = earlier;
  const events = file ? undefined : (given ?? newSecret());
  const secret = events ?? (file ? deps.readSecret(file) : undefined);
  const { publicUrl, tlsCertificate: certificate, tlsKey: key, dataDir } = answers;
  const upstream = listenAddress.parse(listen, machine);
  const unit = systemdUnit({ node: deps.node, program: deps.program, envFile: join(HOME, FILES.env), dataDir });
  const block = blockFor(answers, secret && firstOf(secret));
  return [
    { name: FILES.env, text: proxyEnv(answers, earlier, events), mode: 0o640, isForProxy: true },
    { name: FILES.unit, text: unit, mode: 0o644 },
    { name: FILES.site, text: nginxSite(deps.template, { publicUrl, certificate, key, upstream }), mode: 0o644 },
    ...(deps.omnibusTemplate === undefined
      ? []
      : [{ name: FILES.omnibusSite, text: omnibusSite(deps.omnibusTemplate, upstream), mode: 0o644 }]),
    ...(block ? [block] : []),
  ];
}

/** The commands that put the files in their places, for root. */
export function nextCommands(directory: string, files: readonly PlannedFile[]): readonly string[] {
  const at = (name: string): string => join(resolve(directory), name);
  const user =
    groupId(USER) === undefined ? `useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${USER} && ` : '';
  const isHome = resolve(directory) === HOME;
  const env = isHome
    ? `chgrp ${USER} ${at(FILES.env)}`
    : `install -D -o root -g ${USER} -m 0640 ${at(FILES.env)} ${join(HOME, FILES.env)}`;
  return [
    `${user}${env}`,
    `install -m 0644 ${at(FILES.unit)} /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now ${USER}`,
    files.some(({ name }) => name === FILES.omnibusSite)
      ? `cat ${at(FILES.omnibusSite)} >> ${OMNIBUS} && gitlab-ctl reconfigure`
      : `install -m 0644 ${at(FILES.site)} /etc/nginx/conf.d/geo-registry-proxy.conf && nginx -t && systemctl reload nginx`,
  ];
}
