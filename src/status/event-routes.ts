// `GET /api/events`: the events as they come, until the one who follows them leaves.
import type { FastifyInstance } from 'fastify';
import type { Events } from './events.ts';
import type { Guard } from './guard.ts';

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // nginx would keep the events together.
  'x-accel-buffering': 'no',
};

/** Adds the events; the guard is asked again while they are sent, since sessions end. */
export function addEventRoutes(scope: FastifyInstance, events: Events, guard: Guard): void {
  scope.get('/api/events', { exposeHeadRoute: false }, (request, reply) => {
    if (!events.hasRoom) {
      void reply.code(503).header('retry-after', '5').send({ error: 'too many follow the events already' });
      return;
    }
    reply.hijack();
    reply.raw.writeHead(200, HEADERS);
    events.follow(reply.raw, () => guard.check(request) === undefined);
  });
  scope.addHook('preClose', async () => events.close());
}
