// proxy.env: each variable with a comment that says why it has its value.
import { variables } from '../config/variables.ts';
import type { Answers, Values } from './answers.ts';

interface Entry {
  readonly name: string;
  readonly value: string;
  readonly comment: string;
}

const AUTH = {
  key: 'tokens that the proxy mints with the key',
  'docker-config': 'the credentials of a Docker config.json (DOCKER_CONFIG, else ~/.docker)',
  none: 'nothing, the registry lets everybody in',
} as const;

const NAMES = new Set<string>(
  Object.values(variables).flatMap((variable) =>
    'secret' in variable ? [variable.name, `${variable.name}_FILE`] : [variable.name],
  ),
);

/** The variables of an environment that the program knows. */
export function ownVariables(env: NodeJS.ProcessEnv): Values {
  const own = Object.entries(env).filter((entry): entry is [string, string] => NAMES.has(entry[0]) && !!entry[1]);
  return Object.fromEntries(own);
}

// Written from the answers alone: what an earlier file says of them is an answer already.
const OWN = [
  'GEO_PRIMARY_URL',
  'GEO_SECONDARY_URL',
  'GEO_PRIMARY_AUTH',
  'GEO_SECONDARY_AUTH',
  'GEO_CLIENT_AUTH',
  'GEO_KEY_FILE',
  'GEO_CERT_FILE',
  'GEO_CA_FILE',
  'GEO_TOKEN_REALM',
  'GEO_TOKEN_SERVICE',
  'GEO_TOKEN_ISSUER',
  'GEO_TOKEN_KEY_ID',
  'GEO_SITE_NAME',
  'GEO_DATA_DIR',
  'GEO_REPLICATION',
];

function entryOf(name: string, value: string | undefined, comment: string): Entry[] {
  return value === undefined ? [] : [{ name, value, comment }];
}

function tokenEntries({ primaryAuth, secondaryAuth, clientAuth, settings, realm }: Answers): Entry[] {
  const isMinted = primaryAuth === 'key' || secondaryAuth === 'key';
  if (!isMinted && clientAuth === 'none') return [];
  const { tokenIssuer, tokenService, tokenKeyId } = settings;
  const keyId = 'How tokens name their key, tried with the registries (Distribution 3 takes rfc7638 or x5c).';
  return [
    ...entryOf(
      'GEO_TOKEN_REALM',
      clientAuth === 'token' ? realm : undefined,
      'The token service that clients are sent to.',
    ),
    ...entryOf('GEO_TOKEN_ISSUER', tokenIssuer, 'The issuer of tokens: auth.token.issuer of the registries.'),
    ...entryOf('GEO_TOKEN_SERVICE', tokenService, 'Their audience: auth.token.service of the registries.'),
    ...entryOf('GEO_TOKEN_KEY_ID', isMinted ? tokenKeyId : undefined, keyId),
  ];
}

function fileEntries({ keyFile, certFile, caFile, primaryAuth, secondaryAuth, clientAuth }: Answers): Entry[] {
  const isNeeded = primaryAuth === 'key' || secondaryAuth === 'key' || (clientAuth === 'token' && !certFile);
  return [
    ...entryOf(
      'GEO_KEY_FILE',
      isNeeded ? keyFile : undefined,
      'The private key that all sites share. Who reads it can read and write every repository.',
    ),
    ...entryOf('GEO_CERT_FILE', certFile, "Certificates or public keys that clients' tokens may be signed with."),
    ...entryOf('GEO_CA_FILE', caFile, "More certificate authorities for the registries' TLS."),
  ];
}

function storageEntries({ secondary: { storage } }: Answers, earlier: Values): Entry[] {
  if (storage.kind !== 'redirect') return [];
  const name = 'GEO_SECONDARY_REDIRECT';
  const reached = storage.reason === undefined ? '' : ` The proxy itself does not reach it: ${storage.reason}.`;
  const comment = `The local registry redirects to ${storage.host}: pass it to clients, or stream to those that do not reach it.${reached}`;
  return [{ name, value: earlier[name] ?? 'pass', comment }];
}

function replicationComment({ replication, secondary: { deletes } }: Answers): string {
  if (!replication) return 'Another system replicates: what clients pull is still stored, nothing is removed.';
  const text = "on: the proxy copies and removes. off where GitLab Geo's container registry replication runs here.";
  if (deletes.kind === 'off') return `${text} The local registry deletes nothing now: set storage.delete.enabled.`;
  return deletes.kind === 'read-only' ? `${text} The local registry is in read-only maintenance now.` : text;
}

function webhookEntries(token: string | undefined): Entry[] {
  const comment = "The Authorization of the primary's notifications, see the notification block.";
  return token === undefined ? [] : [{ name: 'GEO_EVENTS_TOKEN', value: token, comment }];
}

function entriesOf(answers: Answers, earlier: Values, eventsToken: string | undefined): Entry[] {
  const { primary, secondary, primaryAuth, secondaryAuth, clientAuth } = answers;
  const clients =
    clientAuth === 'token'
      ? 'Clients show tokens of the token service, which are checked here.'
      : 'CLIENTS NEED NO TOKEN: all who reach the proxy can pull every repository. For a trusted network only.';
  return [
    {
      name: 'GEO_PRIMARY_URL',
      value: answers.primaryUrl.origin,
      comment: `The primary registry: ${primary.kind.label}.`,
    },
    {
      name: 'GEO_SECONDARY_URL',
      value: answers.secondaryUrl.origin,
      comment: `The local registry itself, not nginx in front of it: ${secondary.kind.label}.`,
    },
    { name: 'GEO_PRIMARY_AUTH', value: primaryAuth, comment: `What the primary is shown: ${AUTH[primaryAuth]}.` },
    { name: 'GEO_SECONDARY_AUTH', value: secondaryAuth, comment: `And the local one: ${AUTH[secondaryAuth]}.` },
    { name: 'GEO_CLIENT_AUTH', value: clientAuth, comment: clients },
    ...fileEntries(answers),
    ...tokenEntries(answers),
    {
      name: 'GEO_SITE_NAME',
      value: answers.siteName,
      comment: "This site's name in the page, the metrics and the log.",
    },
    {
      name: 'GEO_DATA_DIR',
      value: answers.dataDir,
      comment: 'The spool and what replication knows: with GEO_SPOOL_MAX (20 GiB) of space.',
    },
    { name: 'GEO_REPLICATION', value: answers.replication ? 'on' : 'off', comment: replicationComment(answers) },
    ...storageEntries(answers, earlier),
    ...webhookEntries(eventsToken),
  ];
}

/** For a primary that gives no catalog. */
function catalogLines({ primary: { repositories }, replication }: Answers, earlier: Values): string[] {
  if (repositories !== undefined || !replication || 'GEO_REPOSITORIES_FILE' in earlier) return [];
  return [
    '# The primary does not list its repositories: list here, one a line, what shall be replicated.',
    '#GEO_REPOSITORIES_FILE=/etc/geo-registry-proxy/repositories',
  ];
}

/** A value as systemd, Docker and `--env-file` read it alike where no quotes are needed. @throws Error */
function quoted({ name, value }: Pick<Entry, 'name' | 'value'>): string {
  if (/^[\w./:@,%+=*~-]*$/.test(value)) return value;
  const quote = ["'", '"'].find((mark) => !value.includes(mark));
  if (quote === undefined || /[\r\n]/.test(value) || (quote === '"' && /[\\$`]/.test(value)))
    throw new Error(`${name}: its value cannot be written to a file of variables: choose one without quotes`);
  return `${quote}${value}${quote}`;
}

function plain(comment: string): string {
  return comment.replace(/[^\x20-\x7e]+/g, '?');
}

const HEAD = '# Written by geo-registry-proxy init for ';

/** The public URL in the first line of an earlier proxy.env. */
export function publicUrlIn(text: string): string | undefined {
  return text.startsWith(HEAD) ? /^\S+/.exec(text.slice(HEAD.length))?.[0]?.replace(/\.$/, '') : undefined;
}

/**
 * The file's text. Variables of the earlier values that init knows nothing of stay; `eventsToken` is undefined where the
 * earlier values give it as a file. @throws Error where a value cannot be written.
 */
export function proxyEnv(answers: Answers, earlier: Values, eventsToken: string | undefined): string {
  const entries = entriesOf(answers, earlier, eventsToken);
  const written = new Set([...OWN, ...entries.map(({ name }) => name)]);
  const kept = Object.keys(earlier)
    .filter((name) => !written.has(name))
    .sort()
    .map((name) => ({ name, value: earlier[name]!, comment: 'Set before, and kept.' }));
  return [
    `${HEAD}${answers.publicUrl.origin}`,
    '# docs/configuration.md has every variable. Run init again with the same --out to change answers; --force replaces.',
    '',
    ...[...entries, ...kept].flatMap((entry) => [`# ${plain(entry.comment)}`, `${entry.name}=${quoted(entry)}`]),
    ...catalogLines(answers, earlier),
    '',
  ].join('\n');
}
