// The token service that clients are sent to: whether it is the local registry's, answers, and signs what we accept.
import { decodeJwt } from 'jose';
import { request, type Dispatcher } from 'undici';
import { InvalidToken, type Verifier } from '../auth/verify.ts';
import type { Config } from '../config/config.ts';
import { collect, limitsFor } from '../registry/body.ts';
import { failed, ok, skipped, warning, type Finding } from './finding.ts';
import { skewOf, type Look, type Unreachable } from './look.ts';
import { reachAdvice } from './reach.ts';
import { REPOSITORY } from './token.ts';

type RealmConfig = Pick<Config, 'tokenRealm' | 'tokenService'>;

/** What the realm answered to an anonymous request. */
export interface RealmAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly token?: string;
  readonly skew?: number;
}

const ANSWER_MAX = 64 * 1024;
// It answers, and says no to who has no account.
const REFUSED = new Set([400, 401, 403]);

function tokenIn(text: string): string | undefined {
  try {
    const { token, access_token: other } = JSON.parse(text) as { token?: unknown; access_token?: unknown };
    return [token, other].find((value) => typeof value === 'string');
  } catch {
    return undefined;
  }
}

/** Asks the realm for a token as anybody would (Distribution spec/auth/token.md); `timeout` in ms. */
export async function askRealm(
  { tokenRealm = '', tokenService }: RealmConfig,
  deps: { readonly dispatcher: Dispatcher; readonly clock: () => number; readonly timeout: number },
): Promise<RealmAnswer | Unreachable> {
  const { dispatcher, clock } = deps;
  const url = new URL(tokenRealm);
  url.searchParams.set('service', tokenService);
  url.searchParams.append('scope', `repository:${REPOSITORY}:pull`);
  const began = clock();
  try {
    const signal = AbortSignal.timeout(deps.timeout);
    const { statusCode: status, headers, body } = await request(url, { dispatcher, signal });
    const skew = skewOf(headers, began, clock());
    const { bytes, failure } = await collect(body, limitsFor(deps.timeout, ANSWER_MAX));
    if (failure && bytes.length < ANSWER_MAX) throw failure;
    const token = tokenIn(bytes.toString());
    return {
      kind: 'answer',
      status,
      ...(token === undefined ? {} : { token }),
      ...(skew === undefined ? {} : { skew }),
    };
  } catch (error) {
    const { name, code, message } = error as { name: string; code?: unknown; message: string };
    const reason = typeof code === 'string' ? code : message;
    return { kind: 'unreachable', reason: name === 'TimeoutError' ? `no answer in ${deps.timeout} ms` : reason };
  }
}

/** Where the local registry sends clients, against where we send them; undefined where nothing differs. */
export function compareRealm(
  { tokenRealm, tokenService }: RealmConfig,
  local: Look | Unreachable,
): Finding | undefined {
  const challenge = local.kind === 'look' ? local.challenge?.parameters : undefined;
  const [realm, service] = [challenge?.get('realm'), challenge?.get('service')];
  if (service !== undefined && service !== tokenService)
    return failed(
      `the local registry names the service ${JSON.stringify(service)}, GEO_TOKEN_SERVICE is ${JSON.stringify(tokenService)}`,
      `set GEO_TOKEN_SERVICE to ${JSON.stringify(service)}`,
    );
  if (realm !== undefined && realm !== tokenRealm)
    return warning(
      `the local registry sends clients to ${realm}, GEO_TOKEN_REALM is ${tokenRealm}`,
      `set GEO_TOKEN_REALM to ${realm}, unless another is meant`,
    );
  return undefined;
}

/** Whether the realm is the local registry's, and answers. */
export function checkRealm(config: RealmConfig, local: Look | Unreachable, answer: RealmAnswer | Unreachable): Finding {
  const { tokenRealm = '' } = config;
  const isLocal = local.kind === 'look' && local.challenge?.parameters.get('realm') === tokenRealm;
  if (answer.kind === 'unreachable') {
    const message = `${tokenRealm} (GEO_TOKEN_REALM) cannot be reached from here: ${answer.reason}`;
    // The local registry names it, too: clients may well reach it where this machine does not.
    if (isLocal) return warning(message, `${reachAdvice(answer.reason)} (clients have to reach it, the proxy has not)`);
    return failed(message, reachAdvice(answer.reason));
  }
  if (answer.status !== 200 && !REFUSED.has(answer.status))
    return failed(
      `${tokenRealm} (GEO_TOKEN_REALM) answers ${answer.status}: that is no token service`,
      "it is auth.token.realm of the local registry's configuration, such as https://gitlab.example.com/jwt/auth",
    );
  const trouble = compareRealm(config, local);
  if (trouble) return trouble;
  return ok(`${tokenRealm} answers${isLocal ? ', and is where the local registry sends clients' : ''}`);
}

function claims(token: string): { readonly iss?: unknown; readonly aud?: unknown } {
  try {
    return decodeJwt(token);
  } catch {
    return {};
  }
}

const WRONG_KEY =
  "GEO_KEY_FILE (or GEO_CERT_FILE) must be the key that this GitLab signs with: compare it with the primary's gitlab-registry.key";

function adviceFor(error: InvalidToken, token: string): string {
  const { iss, aud } = claims(token);
  switch (error.reason) {
    case 'other issuer':
      return `set GEO_TOKEN_ISSUER to ${JSON.stringify(iss)}, as the registries have in auth.token.issuer`;
    case 'other audience':
      return `set GEO_TOKEN_SERVICE to ${JSON.stringify(aud)}, as the registries have in auth.token.service`;
    case 'signed by no key of ours':
    case 'algorithm not accepted':
      return WRONG_KEY;
    case 'expired':
    case 'not valid yet':
      return 'see clock';
    default:
      return 'see what answers there: its tokens are not as registries take them';
  }
}

/** Whether a token that the realm gives to anybody would be accepted from a client. */
export async function checkRealmToken(answer: RealmAnswer | Unreachable, verifier: Verifier): Promise<Finding> {
  if (answer.kind === 'unreachable' || (answer.status !== 200 && !REFUSED.has(answer.status)))
    return skipped('see realm');
  const { token, status } = answer;
  if (token === undefined)
    return skipped(`the realm gives no token to who does not log in (${status}): try docker login, and a pull`);
  try {
    await verifier.verify(token);
    return ok("the realm's tokens are accepted here");
  } catch (error) {
    if (!(error instanceof InvalidToken)) throw error;
    return failed(`a token of the realm is refused here: ${error.reason}`, adviceFor(error, token));
  }
}
