// How the door refuses: 401 with the challenge of Distribution's token specification.
import { expect } from 'vitest';
import type { ProxySite } from '../support/proxy.ts';
import type { WireAnswer } from './wire.ts';

/** The WWW-Authenticate that the proxy of a site sends for a scope and an error. */
export function challengeOf(site: ProxySite, scope: string | undefined, error?: string): string {
  const parts = { realm: site.tokens.realm, service: 'container_registry', scope, error };
  const given = Object.entries(parts).filter(([, value]) => value !== undefined);
  return `Bearer ${given.map(([key, value]) => `${key}="${value}"`).join(',')}`;
}

/** Expects 401 with that challenge, and nothing about what was asked for. */
export function expectRefusal(
  site: ProxySite,
  { status, headers }: Pick<WireAnswer, 'status' | 'headers'>,
  scope: string | undefined,
  error?: string,
): void {
  expect(status).toBe(401);
  expect(headers).toMatchObject({
    'www-authenticate': challengeOf(site, scope, error),
    'content-type': 'application/json; charset=utf-8',
    'docker-distribution-api-version': 'registry/2.0',
  });
  for (const name of ['etag', 'docker-content-digest', 'link', 'accept-ranges', 'content-range']) {
    expect(headers).not.toHaveProperty(name);
  }
}
