// The gate of the pull API: admits requests by their token, and challenges the others.
import { OciError } from '../oci/error.ts';
import { repositoryOf, type DistributionPath } from '../oci/path.ts';
import { bearerChallenge, type BearerParameters } from './challenge.ts';
import { catalogAccess, grants, pullAccess, repositoryResource, scopeText, type Access } from './scope.ts';
import { InvalidToken, type VerifiedToken, type Verifier } from './verify.ts';

/** What an admitted client may do besides reading, and who it is. */
export interface Grant {
  /** Whether the token has `push` or `*` for the request's repository; `unknown` where clients have no tokens. */
  readonly canPush: boolean | 'unknown';
  /** Its share of the queues to the registries: its subject's, its token's, or its repository's. */
  readonly share: string;
  /** The token's user or subject; undefined where it has none, or where everyone may read. */
  readonly user?: string | undefined;
}

/** Admits requests. */
export interface Gate {
  /** @throws {OciError} 401 `UNAUTHORIZED` with a challenge (Distribution spec/auth/token.md); never 403. */
  authorize(authorization: string | undefined, path: DistributionPath): Promise<Grant>;
}

/** Without a verifier everyone may read. */
interface GateDeps {
  readonly verifier?: Verifier | undefined;
  readonly realm: string;
  readonly service: string;
}

const BEARER = /^bearer +(?<token>[^\s,]+) *$/i;

/** The access that reading a path needs; undefined for `/v2/`, for which any valid token is enough. */
function neededAccess(path: DistributionPath): Access | undefined {
  if (path.kind === 'catalog') return catalogAccess();
  const name = repositoryOf(path);
  return name === undefined ? undefined : pullAccess(name);
}

/** The needed access in the form of Distribution's error detail. */
function detailOf(needed: Access | undefined): unknown {
  return needed?.actions.map((action) => ({ Type: needed.type, Class: '', Name: needed.name, Action: action })) ?? null;
}

function isGranted(access: readonly Access[], needed: Access): boolean {
  return needed.actions.every((action) => grants(access, needed, action));
}

/** A {@link Gate} that verifies tokens, and sends clients without a valid one to the realm. */
export function createGate({ verifier, realm, service }: GateDeps): Gate {
  function refusal(needed: Access | undefined, error?: BearerParameters['error'], cause?: unknown): OciError {
    const scope = needed && scopeText([needed]);
    return new OciError('UNAUTHORIZED', 'authentication required', {
      headers: { 'www-authenticate': bearerChallenge({ realm, service, scope, error }) },
      detail: detailOf(needed),
      cause,
    });
  }

  async function verified(verify: Verifier, token: string, needed: Access | undefined): Promise<VerifiedToken> {
    try {
      return await verify.verify(token);
    } catch (error) {
      throw error instanceof InvalidToken ? refusal(needed, 'invalid_token', error) : error;
    }
  }

  return {
    async authorize(authorization, path) {
      const name = repositoryOf(path);
      if (!verifier) return { canPush: 'unknown', share: `repository ${name ?? ''}` };
      const needed = neededAccess(path);
      const token = BEARER.exec(authorization ?? '')?.groups?.['token'];
      if (token === undefined) throw refusal(needed);
      const { access, share, subject, user = subject } = await verified(verifier, token, needed);
      if (needed && !isGranted(access, needed)) throw refusal(needed, 'insufficient_scope');
      return { canPush: name !== undefined && grants(access, repositoryResource(name), 'push'), share, user };
    },
  };
}
