// A first look at a registry, as anybody: what answers there, what it asks for, and what its clock says.
import { parseChallenges, type Challenge } from '../auth/challenge.ts';
import { codesOf } from '../oci/error.ts';
import { RegistryOutage } from '../registry/answer.ts';
import type { RegistryRequest } from '../registry/client.ts';
import { answersAsRegistry } from '../registry/ping.ts';
import type { Registry } from '../registry/registry.ts';
import { headerText, readText, type RegistryResponse } from '../registry/response.ts';

/** What answers at a registry's URL. */
export interface Look {
  readonly kind: 'look';
  readonly status: number;
  readonly isRegistry: boolean;
  /** Where it asks for a token. */
  readonly challenge?: Challenge;
  /** The schemes of all its challenges, in lower case: `bearer`, `basic`. */
  readonly schemes: readonly string[];
  /** GitLab's own registry. */
  readonly isGitlab: boolean;
  readonly skew?: number;
  /** Where it redirects to, instead of answering. */
  readonly location?: string;
}

/** It could not be asked; `reason` in the words of the system or of TLS. */
export interface Unreachable {
  readonly kind: 'unreachable';
  readonly reason: string;
}

/** What a registry answered, its error in its own words. */
export interface Reply {
  readonly status: number;
  readonly codes: readonly string[];
  /** `405 UNSUPPORTED: The operation is unsupported.` */
  readonly text: string;
  readonly body: string;
  header(name: string): string | undefined;
}

const TEXT_MAX = 160;

/**
 * How far (ms) the clock of who answered is ahead of ours, to a second or so; undefined where it does not say, or where
 * a cache may have kept the answer.
 */
export function skewOf(headers: RegistryResponse['headers'], began: number, ended: number): number | undefined {
  const date = [headers['date'] ?? []].flat()[0];
  const theirs = Date.parse(date ?? '');
  if (Number.isNaN(theirs) || headers['age'] !== undefined) return undefined;
  // A Date has no fractions: on the average it is half a second old.
  return theirs + 500 - (began + ended) / 2;
}

function messageOf(body: string): string {
  try {
    const { errors } = JSON.parse(body) as { errors?: { message?: unknown }[] };
    const message = errors?.[0]?.message;
    return typeof message === 'string' ? message : '';
  } catch {
    return /^\s*</.test(body) ? 'a page' : body;
  }
}

function textOf(status: number, codes: readonly string[], body: string): string {
  const said = [codes[0] ?? '', messageOf(body).trim()].filter((part) => part !== '').join(': ');
  return `${status} ${said}`.trim().slice(0, TEXT_MAX);
}

/** An outage's reason without the registry's name, which the finding says already. */
export function reasonOf({ client }: Registry, { message }: RegistryOutage): string {
  return message.replace(`${client.registry}: `, '');
}

/** Asks a registry and reads its answer. @throws RegistryOutage */
export async function ask({ client }: Registry, request: RegistryRequest): Promise<Reply> {
  const response = await client.send(request);
  const body = await readText(response);
  const codes = codesOf(body);
  const { statusCode: status } = response;
  return { status, codes, text: textOf(status, codes, body), body, header: (name) => headerText(response, name) };
}

/** Looks at a registry; `timeout` in ms. */
export async function lookAt(
  registry: Registry,
  { clock, timeout }: { readonly clock: () => number; readonly timeout: number },
): Promise<Look | Unreachable> {
  const began = clock();
  try {
    const response = await registry.client.send({ method: 'GET', target: '/v2/', access: undefined, timeout });
    const skew = skewOf(response.headers, began, clock());
    const location = headerText(response, 'location');
    await readText(response);
    const challenges = parseChallenges([response.headers['www-authenticate'] ?? []].flat().join(', '));
    const challenge = challenges.find(({ scheme }) => scheme === 'bearer');
    return {
      kind: 'look',
      status: response.statusCode,
      isRegistry: answersAsRegistry(response),
      schemes: challenges.map(({ scheme }) => scheme),
      isGitlab: headerText(response, 'gitlab-container-registry-version') !== undefined,
      ...(challenge ? { challenge } : {}),
      ...(skew === undefined ? {} : { skew }),
      ...(location === undefined ? {} : { location }),
    };
  } catch (error) {
    if (error instanceof RegistryOutage) return { kind: 'unreachable', reason: reasonOf(registry, error) };
    throw error;
  }
}
