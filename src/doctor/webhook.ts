// The webhook: whether it has a secret, and takes an envelope without events where it is reached.
import { request, type Dispatcher } from 'undici';
import { formatAddress, isLoopback } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { WEBHOOK_PATH } from '../replication/webhook.ts';
import { failed, ok, skipped, warning, type Finding } from './finding.ts';
import { reachAdvice } from './reach.ts';

/** What asking the proxy itself needs; `timeout` in ms. */
export interface WebhookDeps {
  readonly dispatcher: Dispatcher;
  readonly timeout: number;
}

type WebhookConfig = Pick<Config, 'eventsToken' | 'replication' | 'store' | 'listen'>;

const EVERYWHERE = new Set(['0.0.0.0', '::']);

/** Where this machine reaches the proxy. */
export function listenerUrl({ host, port }: Config['listen']): URL {
  return new URL(`http://${formatAddress({ host: EVERYWHERE.has(host) ? '127.0.0.1' : host, port })}`);
}

function reasonOf(error: unknown, timeout: number): string {
  const { name, code, message } = error as { name: string; code?: unknown; message: string };
  if (name === 'TimeoutError') return `no answer in ${timeout} ms`;
  return typeof code === 'string' ? code : message;
}

/** Whether a server answers at `GEO_LISTEN`. */
export async function isServed({ listen }: WebhookConfig, { dispatcher, timeout }: WebhookDeps): Promise<boolean> {
  if (listen.port === 0) return false;
  try {
    const signal = AbortSignal.timeout(timeout);
    const { statusCode, body } = await request(new URL('/healthz', listenerUrl(listen)), { dispatcher, signal });
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}

async function post(base: URL, token: string, { dispatcher, timeout }: WebhookDeps): Promise<number> {
  const { statusCode, body } = await request(new URL(WEBHOOK_PATH, base), {
    method: 'POST',
    headers: { authorization: token, 'content-type': 'application/json' },
    body: JSON.stringify({ events: [] }),
    dispatcher,
    signal: AbortSignal.timeout(timeout),
  });
  await body.dump();
  return statusCode;
}

function answerFinding(status: number, where: string): Finding {
  if (status === 200) return ok(`the webhook at ${where} takes notifications`);
  const message = `the webhook at ${where} answers ${status}`;
  if (status === 401)
    return failed(message, 'it was started with another GEO_EVENTS_TOKEN: start it again with this configuration');
  if (status === 404)
    return failed(
      message,
      `it was started without GEO_EVENTS_TOKEN or with GEO_REPLICATION=off, something else listens there, or nginx does not hand ${WEBHOOK_PATH} on`,
    );
  if (status === 503) return failed(message, 'its database cannot be written to: see the disk of GEO_DATA_DIR');
  return failed(message, 'see what answers there');
}

/** Why there is nothing to try; undefined where there is. */
function withoutWebhook({ eventsToken, replication }: WebhookConfig): Finding | undefined {
  if (!replication) return skipped("GEO_REPLICATION is off: the primary's notifications are another system's");
  if (eventsToken !== undefined) return undefined;
  return warning(
    'GEO_EVENTS_TOKEN is not set, so that a push arrives with the next comparison, or the first pull',
    'set it, and have the primary send it: geo-registry-proxy doctor --notifications prints how',
  );
}

async function tryAt(base: URL, tokens: readonly string[], deps: WebhookDeps): Promise<Finding> {
  const statuses = await Promise.all(tokens.map((token) => post(base, token, deps)));
  return answerFinding(statuses.find((status) => status !== 200) ?? 200, base.origin);
}

/** The webhook of the server that runs at `GEO_LISTEN`. */
export async function checkWebhook(config: WebhookConfig, deps: WebhookDeps): Promise<Finding> {
  const without = withoutWebhook(config);
  if (without) return without;
  if (config.listen.port === 0) return skipped('GEO_LISTEN has no fixed port');
  const base = listenerUrl(config.listen);
  try {
    return await tryAt(base, config.eventsToken!, deps);
  } catch (error) {
    const reason = reasonOf(error, deps.timeout);
    if (reason === 'ECONNREFUSED') return skipped(`no server runs at ${base.host} (GEO_LISTEN)`);
    return failed(`the server at ${base.host} (GEO_LISTEN) does not answer: ${reason}`, reachAdvice(reason));
  }
}

/** The webhook as the primary reaches it, at the secondary's public address. */
export async function checkPublicWebhook(
  config: WebhookConfig,
  url: URL | undefined,
  deps: WebhookDeps,
): Promise<Finding> {
  if (withoutWebhook(config)) return skipped('see webhook');
  if (url === undefined) return skipped('give --url https://registry.secondary.example.com to try it by that address');
  if (url.protocol !== 'https:' && !isLoopback(url.hostname))
    return failed(`${url.origin} (--url) is not https: the secret would be sent in the clear`, 'give an https URL');
  try {
    return await tryAt(url, config.eventsToken!, deps);
  } catch (error) {
    const reason = reasonOf(error, deps.timeout);
    return failed(`${url.origin} (--url) cannot be reached: ${reason}`, reachAdvice(reason));
  }
}
