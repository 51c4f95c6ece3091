// The gate before the pull API: which request is let in, and the challenge for one that is not.
import { OciError } from '../oci/error.ts';
import { repositoryOf, type DistributionPath } from '../oci/path.ts';
import { bearerChallenge, type BearerParameters } from './challenge.ts';
import { catalogAccess, grants, pullAccess, repositoryResource, scopeText, type Access } from './scope.ts';
import { InvalidToken, type VerifiedToken, type Verifier } from './verify.ts';

/** What a client that was let in is besides a reader. */
export interface Grant {
  /**
   * Whether the token carries `push` or `*` for the repository of the request, so that the client may be about to push there.
   * `unknown` where clients have no tokens.
   */
  readonly canPush: boolean | 'unknown';
  /** Whose share of the queues to the registries its requests are served in: its subject's, its token's, or its repository's. */
  readonly share: string;
  /** Who the token says it is; undefined where it does not, or where everyone may read. */
  readonly user?: string | undefined;
}

/** Lets requests in, or not. */
export interface Gate {
  /** @throws {OciError} 401 `UNAUTHORIZED` with a challenge (Distribution spec/auth/token.md); never 403. */
  authorize(authorization: string | undefined, path: DistributionPath): Promise<Grant>;
}

/** What a gate is made of; without a verifier everyone may read. */
export interface GateDeps {
  readonly verifier?: Verifier | undefined;
  readonly realm: string;
  readonly service: string;
}

const BEARER = /^bearer +(?<token>[^\s,]+) *$/i;

/** What reading a path needs; nothing for `/v2/`, which any valid token opens. */
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

/** The gate of this site: tokens are checked here, and a client without a good one is sent to the realm. */
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
