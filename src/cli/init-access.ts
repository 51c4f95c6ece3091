// The other questions of init: how the registries and the clients authenticate. What can be tried is tried, not asked.
import { KeyRing } from '../auth/key-ring.ts';
import { realmUrl } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { privateKeyFile } from '../config/pem-file.ts';
import { ISSUERS, type Settings } from '../doctor/token.ts';
import {
  candidatesOf,
  challengeOf,
  commonSettings,
  findSettings,
  issuerOf,
  realmProblem,
  USUAL_SERVICE,
  type Hints,
} from '../init/settings.ts';
import { acceptsLogin, type SideName, type SideOptions } from '../init/side.ts';
import { checkedBy, WrongAnswer } from './init-ask.ts';
import { anonymous, TIMEOUT, type Place, type Places, type Start } from './init-places.ts';

type Auth = Config['primaryAuth'];

/** How the registries let the proxy in, and how clients are let in. */
export interface Access {
  readonly primaryAuth: Auth;
  readonly secondaryAuth: Auth;
  readonly clientAuth: Config['clientAuth'];
  readonly keyFile: string | undefined;
  readonly realm: string | undefined;
  readonly settings: Settings;
  readonly keys: KeyRing;
}

/** A key that at least one registry accepts, and the settings with which each of them does. */
interface TriedKey {
  readonly keyFile: string;
  readonly keys: KeyRing;
  readonly accepted: Readonly<Record<SideName, readonly Settings[]>>;
}

const SIDES = ['primary', 'secondary'] as const;
const FLAGS = { primary: '--primary-auth <how>', secondary: '--secondary-auth <how>' } as const;
const VARIABLES = { primary: 'GEO_PRIMARY_AUTH', secondary: 'GEO_SECONDARY_AUTH' } as const;

function isOpen({ look }: Place): boolean {
  return look.status === 200;
}

function asksForTokens({ look }: Place): boolean {
  return !isOpen({ look } as Place) && look.challenge !== undefined;
}

function defined<T>(...values: readonly (T | undefined)[]): T[] {
  return values.filter((value) => value !== undefined);
}

function realmOf({ options, earlier }: Start, { primary, secondary }: Places): string | undefined {
  const challenged = challengeOf(secondary.look).realm ?? challengeOf(primary.look).realm;
  return options.realm ?? earlier['GEO_TOKEN_REALM'] ?? challenged;
}

/** What may be set, the likeliest first; what a flag says is the only one. */
async function hintsOf(start: Start, places: Places): Promise<Hints> {
  const { options, earlier } = start;
  const named = SIDES.map((name) => challengeOf(places[name].look).service);
  const services = options.service
    ? [options.service]
    : defined(earlier['GEO_TOKEN_SERVICE'], named[1], named[0], USUAL_SERVICE);
  const realm = realmOf(start, places);
  const { caFile, certFile } = places;
  const told =
    realm === undefined || options.issuer
      ? undefined
      : await issuerOf({ realm, service: services[0]!, caFile, timeout: TIMEOUT });
  const issuers = options.issuer ? [options.issuer] : [...defined(earlier['GEO_TOKEN_ISSUER'], told), ...ISSUERS];
  const forms = ['libtrust', 'rfc7638', ...(certFile === undefined ? [] : ['x5c'])];
  const keyIds = options.keyId ? [options.keyId] : [...defined(earlier['GEO_TOKEN_KEY_ID']), ...forms];
  return { issuers, services, keyIds: keyIds as Settings['tokenKeyId'][] };
}

// Distribution's leeway.
const LEEWAY = 60_000;

/** Tokens are refused, too, where clocks differ. */
function clockText(places: Places): string {
  const off = SIDES.filter((name) => Math.abs(places[name].look.skew ?? 0) > LEEWAY);
  return off.length === 0
    ? ''
    : `; the clock of the ${off.join(' and the ')} differs from ours by over 60 s: set both by NTP`;
}

/** Tries a key with each registry that asks for tokens. */
async function tryKey(text: string, places: Places, hints: Hints): Promise<TriedKey> {
  const keyFile = checkedBy(privateKeyFile)(text);
  const { caFile, certFile } = places;
  const keys = new KeyRing({ keyFile, certFile, onError: () => undefined });
  const candidates = candidatesOf(hints);
  const [primary, secondary] = await Promise.all(
    SIDES.map(async (name) => {
      if (!asksForTokens(places[name])) return [];
      return findSettings(name, { ...anonymous(places[name].url, caFile), keys }, candidates);
    }),
  );
  const accepted = { primary: primary!, secondary: secondary! };
  if (SIDES.every((name) => accepted[name].length === 0))
    throw new WrongAnswer(
      `no registry accepts tokens of ${keyFile}: it must be the key of auth.token.rootcertbundle; tried were the issuers ` +
        `${[...new Set(hints.issuers)].join(', ')}: give --issuer where auth.token.issuer is another${clockText(places)}`,
    );
  return { keyFile, keys, accepted };
}

function askKey({ asker, options, earlier }: Start, places: Places, hints: Hints): Promise<TriedKey | undefined> {
  return asker.ask({
    flag: '--key <file>',
    what: 'the private key that the registries trust (gitlab-registry.key; empty: docker login is used instead)',
    given: options.key,
    known: earlier['GEO_KEY_FILE'],
    isOptional: true,
    check: (text) => tryKey(text, places, hints),
  });
}

/** The first way in that a registry takes: that of the flag, else that of an earlier answer, else the others. */
async function authOf(
  start: Start,
  places: Places,
  name: SideName,
  key: TriedKey | undefined,
): Promise<Auth | undefined> {
  const { asker, options, earlier } = start;
  const place = places[name];
  const flag = { primary: options.primaryAuth, secondary: options.secondaryAuth }[name];
  const realm = options.realm ?? earlier['GEO_TOKEN_REALM'];
  const works: Record<Auth, () => Promise<boolean> | boolean> = {
    none: () => isOpen(place),
    key: () => key !== undefined && (isOpen(place) || key.accepted[name].length > 0),
    'docker-config': () => acceptsLogin(name, { ...anonymous(place.url, places.caFile), realm }),
  };
  const wanted = flag ? [flag] : [...defined(earlier[VARIABLES[name]]), 'none', 'key', 'docker-config'];
  for (const how of wanted as Auth[]) if (await works[how]?.()) return how;
  asker.problems.push(authProblem(name, place, { flag, key }));
  return undefined;
}

function authProblem(
  name: SideName,
  { url, look }: Place,
  { flag, key }: { readonly flag: string | undefined; readonly key: TriedKey | undefined },
): string {
  const { realm } = challengeOf(look);
  const asks = realm === undefined ? 'asks for a password' : `asks for a token of ${realm}`;
  const login = `docker login ${url.host}`;
  if (flag)
    return `${FLAGS[name]}: ${flag} does not work: the ${name} registry, ${url.origin}, ${asks}, and refuses that`;
  if (realm === undefined) return `${FLAGS[name]}: the ${name} registry, ${url.origin}, ${asks}: run ${login} first`;
  if (key)
    return `--key <file>: the ${name} registry, ${url.origin}, refuses tokens of this key: give its own, or run ${login} first`;
  return `--key <file>: missing: the ${name} registry, ${url.origin}, ${asks}: give the private key that it trusts, or run ${login} first`;
}

/** The settings for all registries that the key is used with; for clients' tokens alone the likeliest. */
function settingsOf(
  { asker }: Start,
  auth: Readonly<Record<SideName, Auth>>,
  key: TriedKey | undefined,
  hints: Hints,
): Settings | undefined {
  const used = SIDES.filter((name) => auth[name] === 'key').map((name) => key?.accepted[name] ?? []);
  const lists = used.filter((list) => list.length > 0);
  if (lists.length === 0) return candidatesOf(hints)[0];
  const common = commonSettings(lists);
  if (common) return common;
  const [one, other] = lists.map((list) => Object.values(list[0]!).join(', '));
  asker.problems.push(
    `--cert <file>: missing: the primary accepts tokens with ${one}, the secondary with ${other}: with the certificate of the key both take x5c`,
  );
  return undefined;
}

async function clientsOf(
  { asker, options, earlier }: Start,
  { primary, secondary, certFile }: Places,
  auth: Readonly<Record<SideName, Auth>>,
): Promise<Config['clientAuth'] | undefined> {
  const isChecked = auth.secondary === 'key' || (certFile !== undefined && asksForTokens(secondary));
  const found = isChecked ? 'token' : isOpen(primary) && isOpen(secondary) ? 'none' : undefined;
  const given = options.clients ?? earlier['GEO_CLIENT_AUTH'] ?? found;
  return asker.ask({
    flag: '--clients <how>',
    what: 'how clients log in: token (of the token service, checked with the key or --cert) or none (all who reach the proxy pull everything)',
    given,
    check: (text) => {
      if (text === 'token' || text === 'none') return text;
      throw new WrongAnswer(`${JSON.stringify(text)} is not known; allowed: token, none`);
    },
  });
}

function askRealm(start: Start, places: Places, service: string): Promise<string | undefined> {
  const { asker, options } = start;
  const { caFile, secondary } = places;
  return asker.ask({
    flag: '--realm <url>',
    what: 'the token service that clients are sent to, such as https://gitlab.example.com/jwt/auth',
    given: options.realm,
    known: realmOf(start, places),
    check: async (text) => {
      const realm = checkedBy(realmUrl)(text);
      const problem = await realmProblem({ realm, service, caFile, timeout: TIMEOUT }, secondary.look);
      if (problem !== undefined) throw new WrongAnswer(problem);
      return realm;
    },
  });
}

/** Asks and tries all of it; undefined where something is missing or wrong. */
export async function askAccess(start: Start, places: Places): Promise<Access | undefined> {
  const { asker, options } = start;
  const hints = await hintsOf(start, places);
  const isKeyOfUse = options.key !== undefined || SIDES.some((name) => asksForTokens(places[name]));
  const key = isKeyOfUse ? await askKey(start, places, hints) : undefined;
  if (asker.problems.length > 0) return undefined;
  const [primaryAuth, secondaryAuth] = [
    await authOf(start, places, 'primary', key),
    await authOf(start, places, 'secondary', key),
  ];
  if (!primaryAuth || !secondaryAuth) return undefined;
  const auth = { primary: primaryAuth, secondary: secondaryAuth };
  const settings = settingsOf(start, auth, key, hints);
  const clientAuth = await clientsOf(start, places, auth);
  if (!settings || !clientAuth) return undefined;
  if (clientAuth === 'token' && !key && places.certFile === undefined)
    asker.problems.push("--cert <file>: missing: clients' tokens are checked with the key, or with these certificates");
  const realm = clientAuth === 'token' ? await askRealm(start, places, settings.tokenService) : undefined;
  if (asker.problems.length > 0) return undefined;
  const keys = key?.keys ?? new KeyRing({ certFile: places.certFile, onError: () => undefined });
  return { primaryAuth, secondaryAuth, clientAuth, keyFile: key?.keyFile, realm, settings, keys };
}

/** A registry as it is asked from here on. */
export function sideOptions(name: SideName, places: Places, access: Access): SideOptions {
  const auth = { primary: access.primaryAuth, secondary: access.secondaryAuth }[name];
  const { keys, realm, settings } = access;
  return { ...anonymous(places[name].url, places.caFile), auth, keys, realm, settings };
}
