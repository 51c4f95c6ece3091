// The command `token`: a token as the proxy itself would mint it, to try a registry by hand.
import { InvalidArgumentError } from 'commander';
import { machine, WrongValue } from '../config/variable.ts';
import type { Config } from '../config/config.ts';
import { duration } from '../config/value.ts';
import { isName } from '../oci/reference.ts';
import { warn } from './output.ts';

const lifetime = duration({ zero: false });

/** A duration in ms; throws what commander reports as wrong usage. */
export function tokenLifetime(text: string): number {
  try {
    return lifetime.parse(text, machine);
  } catch (error) {
    if (error instanceof WrongValue)
      throw new InvalidArgumentError(`It ${error.message}; allowed: ${lifetime.allowed}.`);
    throw error;
  }
}

/** A repository's name; throws what commander reports as wrong usage. */
export function repositoryName(text: string): string {
  if (!isName(text)) throw new InvalidArgumentError('It is no repository name, such as group/project.');
  return text;
}

/** Prints a pull token for one repository, valid for `ttl` ms; throws where no key is configured. */
export async function printToken(
  { keyFile, certFile, tokenIssuer: issuer, tokenService: service, tokenKeyId }: Config,
  { repository, ttl }: { repository: string; ttl: number },
): Promise<void> {
  if (keyFile === undefined) throw new Error('GEO_KEY_FILE: not set, and required to mint a token');
  const { KeyRing } = await import('../auth/key-ring.ts');
  const { Minter } = await import('../auth/mint.ts');
  const { pullAccess } = await import('../auth/scope.ts');
  const keys = new KeyRing({ keyFile, certFile, onError: warn }, { needsCertificate: tokenKeyId === 'x5c' });
  const minter = new Minter({ keys, issuer, service, tokenKeyId }, { ttl });
  process.stdout.write(`${await minter.mint([pullAccess(repository)])}\n`);
}
