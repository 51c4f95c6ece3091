// What a trial of the local registry comes to: whether it takes pushes and deletes, and what it does not take.
import type { Config } from '../config/config.ts';
import { failed, ok, skipped, type Finding } from './finding.ts';
import type { Reply } from './look.ts';
import { reachAdvice } from './reach.ts';
import { REPOSITORY } from './token.ts';
import { isRefused, type Trial } from './trial.ts';

/** A finding for each thing that a trial shows. */
export interface WriteFindings {
  readonly push: Finding;
  readonly delete: Finding;
  readonly schema1: Finding;
  readonly foreignLayers: Finding;
}

const READ_ONLY =
  'it is in read-only maintenance (storage.maintenance.readonly), or what answers is no registry that takes pushes; replication waits meanwhile';

/** The same finding for all four. */
export function allOf(finding: Finding): WriteFindings {
  return { push: finding, delete: finding, schema1: finding, foreignLayers: finding };
}

/** Whether a registry refuses a DELETE since it deletes nothing, and not since it is read-only. */
export function isDeleteOff({ status, codes }: Reply): boolean {
  return status === 405 && codes.includes('UNSUPPORTED');
}

function refusalAdvice({ status, codes }: Reply): string {
  if (status === 405) return READ_ONLY;
  if (status === 401 || status === 403)
    return 'our token or account must be allowed to push and delete there, not only to pull';
  if (codes.includes('NAME_UNKNOWN') || codes.includes('NAME_INVALID'))
    return 'it takes pushes only to what it knows already: see its configuration';
  return 'see its log: storage that is full or not writable answers so';
}

function pushFinding({ upload, blob, manifest, outage, leftBehind, isInCatalog }: Trial): Finding {
  const refused = [upload, blob, manifest].find((reply) => reply !== undefined && reply.status >= 300);
  if (refused) return failed(`the secondary refuses a push: ${refused.text}`, refusalAdvice(refused));
  if (outage !== undefined) return failed(`the secondary broke off during a push: ${outage}`, reachAdvice(outage));
  if (leftBehind.length > 0)
    return failed(
      `what was pushed for a trial could not be deleted: ${leftBehind.map((digest) => `${REPOSITORY}@${digest}`).join(', ')}`,
      'delete it by hand',
    );
  if (!manifest) return ok('the secondary begins an upload; since it deletes nothing, no image was pushed for a trial');
  const rest = isInCatalog
    ? `; the empty repository ${REPOSITORY} stays in its catalog, since no registry deletes one: with --read-only nothing is pushed`
    : '';
  return ok(`the secondary takes pushes${rest}`);
}

function deleteFinding({ emptyDelete, deletes }: Trial, { replication }: Pick<Config, 'replication'>): Finding {
  const isAboutDeleting = [401, 403, 405].includes(emptyDelete.status);
  const refused = isAboutDeleting ? emptyDelete : deletes.find(isRefused);
  if (!refused && deletes.length === 0 && isRefused(emptyDelete)) return skipped('not tried, see push');
  if (!refused) return ok('the secondary deletes');
  const message = `the secondary refuses to delete: ${refused.text}`;
  if (!isDeleteOff(refused)) return failed(message, refusalAdvice(refused));
  if (!replication) return ok(`${message}; nothing is removed with GEO_REPLICATION=off`);
  return failed(
    message,
    "set storage.delete.enabled: true in the local registry's configuration (REGISTRY_STORAGE_DELETE_ENABLED=true)",
  );
}

function schema1Finding({ schema1 }: Trial): Finding {
  if (!schema1) return skipped('not tried, see push and delete');
  if (schema1.codes.includes('MANIFEST_UNVERIFIED') || schema1.status === 201)
    return ok("the secondary takes Docker's schema 1");
  return ok(
    `the secondary refuses Docker's schema 1 (${schema1.text}): such images are "unsupported", and served from the primary`,
  );
}

function foreignFinding({ foreignLayer }: Trial): Finding {
  if (!foreignLayer) return skipped('not tried, see push and delete');
  const { codes, status } = foreignLayer;
  if (status === 201 || codes.every((code) => code === 'MANIFEST_BLOB_UNKNOWN'))
    return ok('the secondary takes images with foreign layers');
  return ok(
    'the secondary refuses images with foreign layers (those with urls, Windows base images): served from the primary; validation.manifests.urls.allow lets them in',
  );
}

/** @see WriteFindings */
export function findingsOf(trial: Trial, config: Pick<Config, 'replication'>): WriteFindings {
  return {
    push: pushFinding(trial),
    delete: deleteFinding(trial, config),
    schema1: schema1Finding(trial),
    foreignLayers: foreignFinding(trial),
  };
}
