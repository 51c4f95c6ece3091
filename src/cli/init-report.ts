// What init shows: what was found, what was written, and what is next.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Answers } from '../init/answers.ts';
import type { Deletes, Facts, Storage } from '../init/facts.ts';
import type { FileState, PlannedFile } from '../init/files.ts';
import { blockIn, FILES, HOME, nextCommands } from '../init/plan.ts';
import { isSeenByUnit } from '../init/unit.ts';
import { visibleText } from '../status/figures.ts';
import { table } from './terminal.ts';

function deletesText(deletes: Deletes): string {
  switch (deletes.kind) {
    case 'on':
      return 'deletes are on';
    case 'off':
      return 'deletes are off: removals need storage.delete.enabled: true';
    case 'read-only':
      return 'it is in read-only maintenance';
    case 'not asked':
      return 'whether deletes are on was not asked (--read-only)';
    case 'unknown':
      return `whether deletes are on is not known (${deletes.reason})`;
  }
}

function storageText(storage: Storage): string {
  if (storage.kind === 'registry') return 'blobs come from the registry itself';
  if (storage.kind === 'unknown') return 'where its blobs come from is not known: no image was found in it';
  const reached = storage.reason === undefined ? '' : `, which is not reached from here (${storage.reason})`;
  return `blobs are redirected to ${storage.host}${reached}`;
}

function kindText({ kind: { label, version } }: Facts): string {
  return version === undefined ? label : `${label}, ${version}`;
}

function catalogText({ repositories }: Facts): string {
  if (repositories === undefined) return 'it does not list its repositories: replication needs GEO_REPOSITORIES_FILE';
  return repositories.length === 0 ? 'its list of repositories is empty' : 'it lists its repositories';
}

/** What was found, a line each. */
export function foundLines(answers: Answers): string[] {
  const { primary, secondary, clientAuth, primaryAuth, secondaryAuth, settings, realm = '' } = answers;
  const { tokenIssuer, tokenService, tokenKeyId } = settings;
  const isMinted = primaryAuth === 'key' || secondaryAuth === 'key';
  return table([
    ['primary', `${answers.primaryUrl.origin}: ${kindText(primary)}; ${catalogText(primary)}`],
    ['', storageText(primary.storage)],
    ['secondary', `${answers.secondaryUrl.origin}: ${kindText(secondary)}; ${deletesText(secondary.deletes)}`],
    ['', storageText(secondary.storage)],
    ['login', `primary: ${primaryAuth}, secondary: ${secondaryAuth}`],
    ...(isMinted ? [['tokens', `issuer ${tokenIssuer}, audience ${tokenService}, key id ${tokenKeyId}: tried`]] : []),
    ['clients', clientAuth === 'token' ? `tokens of ${realm}` : 'no token is asked for: for a trusted network only'],
  ]).map(visibleText);
}

/** Each file, and what became of it. */
export function fileLines(
  directory: string,
  files: readonly { readonly file: PlannedFile; readonly state: FileState }[],
): string[] {
  return files.map(({ file: { name, mode }, state }) => {
    const did = { new: 'written', unchanged: 'unchanged', differs: 'replaced' }[state];
    return `${did}: ${join(directory, name)} (mode 0${mode.toString(8)})`;
  });
}

/** The commands that are next, and what else a person has to do. */
export function nextLines(
  directory: string,
  { keyFile, primary, primaryAuth, secondaryAuth, tlsCertificate, tlsKey }: Answers,
  { files, program }: { readonly files: readonly PlannedFile[]; readonly program: string },
): string[] {
  const block = blockIn(files);
  const isOmnibus = files.some(({ name }) => name === FILES.omnibusSite);
  return [
    'Next, as root:',
    ...nextCommands(directory, files).map((command, index) => `  ${index + 1}. ${command}`),
    ...(isOmnibus || (existsSync(tlsCertificate) && existsSync(tlsKey))
      ? []
      : [
          `Before the third, put the certificate in ${tlsCertificate} and its key in ${tlsKey}, or name others with --tls-cert and --tls-key.`,
        ]),
    ...(block
      ? [`${join(directory, block.name)} holds the secret: put it into the primary's configuration.`]
      : [`No notification block is known for ${primary.kind.label}: pushes are found by comparing every hour.`]),
    ...(keyFile === undefined ? [] : [`The user geo-registry-proxy has to be able to read ${keyFile}.`]),
    ...([primaryAuth, secondaryAuth].includes('docker-config')
      ? [`Put the Docker config.json into ${HOME}, and DOCKER_CONFIG=${HOME} into proxy.env.`]
      : []),
    ...[keyFile, program]
      .filter((file) => file !== undefined && !isSeenByUnit(file))
      .map((file) => `The unit sees no home directories and has a /tmp of its own: put ${file} elsewhere.`),
  ];
}
