// The page's session: whether a login is needed, and the login itself; open to all, from pages of our own alone.
import type { FastifyInstance } from 'fastify';
import type { Session } from './api.ts';
import type { Guard } from './guard.ts';
import type { Sessions } from './sessions.ts';
import { LOGIN, QUERIES } from './schemas.ts';

/** What sessions are told and opened by. */
export interface SessionDeps {
  readonly guard: Guard;
  readonly sessions: Sessions;
  readonly site: string;
  readonly version: string;
}

/** Adds `GET /api/session`, `POST /api/login` and `POST /api/logout`. */
export function addSessionRoutes(scope: FastifyInstance, { guard, sessions, site, version }: SessionDeps): void {
  scope.get('/api/session', { schema: { querystring: QUERIES.nothing } }, (request): Session => {
    const refusal = guard.check(request);
    return { needsLogin: refusal?.status === 401, canLogout: guard.hasSession(request), site, version };
  });
  scope.post<{ Body: { token: string } }>('/api/login', { schema: { body: LOGIN } }, (request, reply) => {
    if (!guard.isToken(request.body.token)) return reply.code(401).send({ error: 'this is not the admin token' });
    return reply.code(204).header('set-cookie', sessions.open(request.headers)).send();
  });
  scope.post('/api/logout', (request, reply) =>
    reply.code(204).header('set-cookie', sessions.close(request.headers)).send(),
  );
}
