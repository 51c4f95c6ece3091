// An HTTP relay between the proxy and a registry: it counts what crosses, and does to it what a test's rules say.
import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { finished, pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { sendBody } from './relay-body.ts';
import type { RelayRule } from './relay-rule.ts';
import { freePort } from './tool.ts';

/** One request that came to the relay; its fields grow while it is answered. */
export interface RelayRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** How many requests with this method and path came before, this one counted: 1 is the first. */
  readonly nth: number;
  /** The status that was answered; 0 before there is one. */
  status: number;
  /** Body bytes of the answer that were handed to the connection. */
  bodyBytes: number;
  /** `complete` when all of the answer was handed over, `cut` when the connection ended before. */
  state: 'open' | 'complete' | 'cut';
}

export type RelayMatch = (request: RelayRequest) => boolean;

export interface RelayOptions {
  /** The registry's URL without a path. */
  readonly target: string;
  readonly port?: number;
}

export interface Relay {
  readonly url: string;
  readonly port: number;
  /** All since the start or the last `reset`, in the order of their arrival. */
  readonly requests: readonly RelayRequest[];
  /** The first rule that matches a request is applied to it; `relay.rules.push({ … })`, `relay.rules.length = 0`. */
  readonly rules: RelayRule[];
  /** How many requests came, of those that match. */
  count(match?: RelayMatch): number;
  /** Body bytes that were sent towards the proxy, of the requests that match. */
  bodyBytes(match?: RelayMatch): number;
  /** Forgets the last request of this path. */
  forgetLast(path: string): void;
  /** Forgets requests and rules. */
  reset(): void;
  /** Refuses connections and cuts the open ones. */
  down(): Promise<void>;
  /** Listens again on the same port. */
  up(): Promise<void>;
  close(): Promise<void>;
}

const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection', 'te']);

/** The pairs of raw headers that may cross, in Node's flat form. */
function passedHeaders(rawHeaders: readonly string[], dropped: readonly string[] = []): string[] {
  const unwanted = new Set(dropped.map((name) => name.toLowerCase()));
  return rawHeaders.flatMap((name, index) => {
    if (index % 2 === 1 || hopByHop.has(name.toLowerCase()) || unwanted.has(name.toLowerCase())) return [];
    return [name, rawHeaders[index + 1] ?? ''];
  });
}

function applies(rule: RelayRule, request: RelayRequest): boolean {
  if (rule.times !== undefined && (rule.used ?? 0) >= rule.times) return false;
  return rule.match?.(request) ?? true;
}

/** The first rule that applies, its use counted. */
function takeRule(rules: readonly RelayRule[], request: RelayRequest): RelayRule {
  const rule = rules.find((candidate) => applies(candidate, request));
  if (rule === undefined) return {};
  rule.used = (rule.used ?? 0) + 1;
  return rule;
}

function requestHeaders(incoming: IncomingMessage, rule: RelayRule): string[] {
  // Host stays as it came: a registry makes its absolute Locations of it.
  const headers = passedHeaders(incoming.rawHeaders, rule.ignoreRange ? ['range', 'if-range'] : []);
  // Node frames a body without a length itself, once it is told so.
  return incoming.headers['transfer-encoding'] === undefined ? headers : [...headers, 'transfer-encoding', 'chunked'];
}

function headersToSend(answer: IncomingMessage, rule: RelayRule): string[] {
  const replaced = Object.keys(rule.setHeaders ?? {});
  const dropped = [...(rule.dropHeaders ?? []), ...replaced, ...(rule.chunked ? ['content-length'] : [])];
  return [...passedHeaders(answer.rawHeaders, dropped), ...Object.entries(rule.setHeaders ?? {}).flat()];
}

class RegistryRelay implements Relay {
  readonly port: number;
  readonly url: string;
  readonly requests: RelayRequest[] = [];
  readonly rules: RelayRule[] = [];
  readonly #target: URL;
  readonly #agent = new Agent({ keepAlive: true });
  #server: Server | undefined;

  constructor(target: string, port: number) {
    this.#target = new URL(target);
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  count(match: RelayMatch = () => true): number {
    return this.requests.filter(match).length;
  }

  bodyBytes(match: RelayMatch = () => true): number {
    return this.requests.filter(match).reduce((sum, request) => sum + request.bodyBytes, 0);
  }

  forgetLast(path: string): void {
    const index = this.requests.findLastIndex((request) => request.path === path);
    if (index >= 0) this.requests.splice(index, 1);
  }

  reset(): void {
    this.requests.length = 0;
    this.rules.length = 0;
  }

  async up(): Promise<void> {
    if (this.#server !== undefined) return;
    this.#server = createServer((incoming, response) => void this.#relay(incoming, response));
    // As patient with idle connections as a registry, which never closes them.
    this.#server.keepAliveTimeout = 0;
    await once(this.#server.listen(this.port, '127.0.0.1'), 'listening');
  }

  async down(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server.close(), 'close');
    server.closeAllConnections();
    await closed;
  }

  async close(): Promise<void> {
    await this.down();
    this.#agent.destroy();
  }

  async #relay(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = this.#record(incoming);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      await this.#answer(incoming, response, record, gone.signal);
      record.state = 'complete';
    } catch {
      // The client left, the registry broke off, or a rule says so: either way the client sees a broken connection.
      record.state = 'cut';
      response.destroy();
    }
  }

  #record(incoming: IncomingMessage): RelayRequest {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const nth = 1 + this.count((earlier) => earlier.method === method && earlier.path === path);
    const record: RelayRequest = { method, path, headers, nth, status: 0, bodyBytes: 0, state: 'open' };
    this.requests.push(record);
    return record;
  }

  async #answer(
    incoming: IncomingMessage,
    response: ServerResponse,
    record: RelayRequest,
    gone: AbortSignal,
  ): Promise<void> {
    const rule = takeRule(this.rules, record);
    if (rule.hang === true) await once(response, 'close').then(() => gone.throwIfAborted());
    if (rule.gate !== undefined) await rule.gate.pass(gone);
    if (rule.delay !== undefined) await sleep(rule.delay, undefined, { signal: gone });
    if (rule.answer !== undefined) return this.#sendAnswer(rule.answer, response, record);
    const answer = await this.#ask(incoming, rule, gone);
    record.status = answer.statusCode ?? 502;
    response.writeHead(record.status, answer.statusMessage, headersToSend(answer, rule));
    response.flushHeaders();
    await sendBody({ source: answer, target: response, rule, gone, count: (bytes) => (record.bodyBytes += bytes) });
  }

  async #sendAnswer(
    { status, headers = {}, body = '' }: NonNullable<RelayRule['answer']>,
    response: ServerResponse,
    record: RelayRequest,
  ): Promise<void> {
    record.status = status;
    record.bodyBytes = record.method === 'HEAD' ? 0 : Buffer.byteLength(body);
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
    await finished(response.end(body));
  }

  async #ask(incoming: IncomingMessage, rule: RelayRule, signal: AbortSignal): Promise<IncomingMessage> {
    const outgoing = httpRequest({
      agent: this.#agent,
      hostname: this.#target.hostname,
      port: this.#target.port,
      method: incoming.method,
      path: incoming.url,
      headers: requestHeaders(incoming, rule),
      signal,
    });
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    // A registry may answer (and close) before it has read the whole body, so only the answer decides.
    pipeline(incoming, outgoing).catch(() => {});
    const [answer] = await answered;
    return answer;
  }
}

/** Starts a relay in front of `target` on a free port; it passes on what no rule says otherwise about. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const relay = new RegistryRelay(options.target, options.port ?? (await freePort()));
  await relay.up();
  return relay;
}
