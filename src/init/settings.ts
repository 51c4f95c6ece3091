// What tokens have to say so that registries accept our key: issuer, service and form of the key id, found by trying.
import { decodeJwt } from 'jose';
import type { Look, Unreachable } from '../doctor/look.ts';
import { askRealm, checkRealm } from '../doctor/realm.ts';
import { acceptedSettings, type Settings } from '../doctor/token.ts';
import { Transport } from '../registry/transport.ts';
import { withSide, type SideName, type SideOptions } from './side.ts';

/** Values to try: those that are known, and those that the registries and their token service name. */
export interface Hints {
  readonly issuers: readonly string[];
  readonly services: readonly string[];
  readonly keyIds: readonly Settings['tokenKeyId'][];
}

/** The service of tokens where a registry does not name one. */
export const USUAL_SERVICE = 'container_registry';

/** The parameters of a registry's Bearer challenge. */
export function challengeOf(look: Look | Unreachable | undefined): { realm?: string; service?: string } {
  const parameters = look?.kind === 'look' ? look.challenge?.parameters : undefined;
  const [realm, service] = [parameters?.get('realm'), parameters?.get('service')];
  return { ...(realm === undefined ? {} : { realm }), ...(service === undefined ? {} : { service }) };
}

/** A token service, and how to reach it; `timeout` in ms. */
export interface TokenService {
  readonly realm: string;
  readonly service: string;
  readonly caFile?: string | undefined;
  readonly timeout: number;
}

async function answerOf({
  realm: tokenRealm,
  service: tokenService,
  caFile,
  timeout,
}: TokenService): ReturnType<typeof askRealm> {
  const limits = { connections: 1, connectTimeout: timeout, bodyTimeout: timeout };
  const dispatcher = new Transport({ ...limits, caFile, useProxy: true });
  try {
    return await askRealm({ tokenRealm, tokenService }, { dispatcher, clock: Date.now, timeout });
  } finally {
    await dispatcher.destroy();
  }
}

/** The issuer of a token that the token service gives without a login; undefined where it gives none. */
export async function issuerOf(service: TokenService): Promise<string | undefined> {
  if (!URL.canParse(service.realm)) return undefined;
  const answer = await answerOf(service);
  if (answer.kind === 'unreachable' || answer.token === undefined) return undefined;
  try {
    return decodeJwt(answer.token).iss;
  } catch {
    return undefined;
  }
}

/** Why a realm cannot be that of a token service, with what to do; undefined where it can. */
export async function realmProblem(service: TokenService, local: Look): Promise<string | undefined> {
  const asked = { tokenRealm: service.realm, tokenService: service.service };
  const { verdict, message, advice } = checkRealm(asked, local, await answerOf(service));
  return verdict === 'failed' ? `${message}; ${advice}` : undefined;
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** All combinations, in the order of the lists. */
export function candidatesOf({ issuers, services, keyIds }: Hints): Settings[] {
  return unique(issuers).flatMap((tokenIssuer) =>
    unique(services).flatMap((tokenService) =>
      unique(keyIds).map((tokenKeyId) => ({ tokenIssuer, tokenService, tokenKeyId })),
    ),
  );
}

/** The candidates that a registry accepts our key with, in their order. */
export function findSettings(
  name: SideName,
  options: SideOptions,
  candidates: readonly Settings[],
): Promise<Settings[]> {
  const { keys, timeout } = options;
  return withSide(name, { ...options, auth: 'none' }, (registry) =>
    acceptedSettings({ registry, keys, timeout }, candidates),
  );
}

function isSame(one: Settings, other: Settings): boolean {
  return (Object.keys(one) as (keyof Settings)[]).every((name) => one[name] === other[name]);
}

/** The first settings that all registries accept. */
export function commonSettings(accepted: readonly (readonly Settings[])[]): Settings | undefined {
  const [first = [], ...others] = accepted;
  return first.find((settings) => others.every((list) => list.some((other) => isSame(other, settings))));
}
