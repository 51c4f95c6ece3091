// The primary's part of the webhook: the block for its configuration, filled in but for the secret.
import { WEBHOOK_PATH } from '../replication/webhook.ts';

/** What a primary may be, as `doctor --notifications=<kind>` names it. */
export const notificationKinds = ['gitlab', 'distribution', 'zot'] as const;
export type NotificationKind = (typeof notificationKinds)[number];

/** The blocks, and the webhook's URL in them. */
export interface Notifications {
  readonly url: string;
  /** YAML, for Distribution's configuration, 2.8 and 3. */
  readonly distribution: string;
  /** Ruby, for `/etc/gitlab/gitlab.rb`. */
  readonly omnibus: string;
  /** JSON, for zot's configuration. */
  readonly zot: string;
}

const SECRET = '<the value of GEO_EVENTS_TOKEN>';
const PLACEHOLDER = new URL('https://registry.secondary.example.com');

function distributionBlock(url: string): string {
  return `notifications:
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
}

function omnibusBlock(url: string): string {
  return `registry['notifications'] = [
  # Keep the endpoints that are there, such as 'geo_event', and add one for each secondary, with a name, a URL and a
  # secret of its own.
  {
    'name' => 'geo-registry-proxy',
    'url' => '${url}',
    'timeout' => '500ms',
    # Before GitLab 17.0: 'threshold' => 5
    'maxretries' => 5,
    'backoff' => '1s',
    'headers' => { 'Authorization' => ['${SECRET}'] }
  }
]
`;
}

function zotBlock(url: string): string {
  const sink = { type: 'http', address: url, timeout: '500ms', headers: { Authorization: SECRET } };
  return `${JSON.stringify({ extensions: { events: { enable: true, sinks: [sink] } } }, null, 2)}\n`;
}

/** `base`: how the primary reaches this site, by default a name to be replaced. */
export function notificationsFor(base: URL = PLACEHOLDER): Notifications {
  const url = new URL(WEBHOOK_PATH, base).href;
  return { url, distribution: distributionBlock(url), omnibus: omnibusBlock(url), zot: zotBlock(url) };
}
