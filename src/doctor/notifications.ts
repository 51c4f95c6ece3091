// The primary's part of the webhook: the block for its configuration, filled in but for the secret.
import { WEBHOOK_PATH } from '../replication/webhook.ts';

/** The block in both forms, and the webhook's URL in them. */
export interface Notifications {
  readonly url: string;
  /** YAML, for Distribution's configuration. */
  readonly distribution: string;
  /** Ruby, for `/etc/gitlab/gitlab.rb`. */
  readonly omnibus: string;
}

const SECRET = '<the value of GEO_EVENTS_TOKEN>';
const PLACEHOLDER = new URL('https://registry.secondary.example.com');

/** `base`: how the primary reaches this site, by default a name to be replaced. */
export function notificationsFor(base: URL = PLACEHOLDER): Notifications {
  const url = new URL(WEBHOOK_PATH, base).href;
  const distribution = `notifications:
  endpoints:
    - name: geo-registry-proxy
      url: ${url}
      headers:
        Authorization: ['${SECRET}']
      timeout: 500ms
      threshold: 5
      backoff: 1s
      ignore:
        mediatypes: [application/octet-stream]
        actions: [pull]
`;
  const omnibus = `registry['notifications'] = [
  {
    'name' => 'geo-registry-proxy',
    'url' => '${url}',
    'timeout' => '500ms',
    'threshold' => 5,
    'backoff' => '1s',
    'headers' => { 'Authorization' => ['${SECRET}'] }
  }
]
`;
  return { url, distribution, omnibus };
}
