// Asking a running proxy over its admin listener.
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { formatAddress } from '../config/address.ts';
import type { ListenAddress } from '../config/variable.ts';

/** No server listens at the address. */
export class NoServer extends Error {}

/** The server understood and refused; the message ends with its own. */
export class ServerRefused extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** A server of another version, most likely an older one: it knows no such path. */
export class NoSuchPath extends Error {}

/** Asks for JSON. @throws NoServer @throws ServerRefused @throws NoSuchPath @throws Error when something else answers there, or nothing */
export interface AdminClient {
  /** `host:port` that is asked. */
  readonly address: string;
  get(path: string): Promise<unknown>;
  post(path: string, body: object): Promise<unknown>;
  close(): void;
}

/** Where the server is, and what opens it. */
export interface AdminClientOptions {
  readonly adminListen: ListenAddress;
  readonly adminToken?: string | undefined;
}

// Without a byte (ms). A look-up is quick; an order may change every row of a site first.
const LOOK_PATIENCE = 20_000;
const ORDER_PATIENCE = 600_000;

// What a server of ours answers to a path that it does not have.
const NOT_FOUND = 'not found\n';

// What listens on all addresses, by IPv6 as well, is asked here.
const LOOPBACK = '127.0.0.1';

function parsed(body: string): { readonly error?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function isUnheard(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
}

/** A client for the server that has this configuration; one that listens everywhere is asked on loopback. */
export function createAdminClient({ adminListen, adminToken }: AdminClientOptions): AdminClient {
  const { port } = adminListen;
  const host = ['0.0.0.0', '::'].includes(adminListen.host) ? LOOPBACK : adminListen.host;
  const address = formatAddress({ host, port });
  // Our own: a proxy for the way out has no part in this.
  const agent = new Agent({ keepAlive: true });
  const authorization = adminToken === undefined ? {} : { authorization: `Bearer ${adminToken}` };

  function send(method: string, path: string, body: string, patience: number): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { ...authorization, ...(body === '' ? {} : { 'content-type': 'application/json' }) };
      const sent = request({ host, port, method, path, agent, headers, timeout: patience });
      sent.on('timeout', () => sent.destroy(new Error(`no answer in ${patience / 1_000} s`)));
      sent.on('error', reject);
      sent.on('response', resolve);
      sent.end(body);
    });
  }

  async function ask(method: string, path: string, sent: string, patience: number): Promise<unknown> {
    let status: number | undefined;
    let body: string;
    try {
      const response = await send(method, path, sent, patience);
      status = response.statusCode;
      body = await text(response);
    } catch (cause) {
      if (isUnheard(cause)) throw new NoServer(`no server answers at ${address} (GEO_ADMIN_LISTEN)`, { cause });
      throw new Error(`the server at ${address} (GEO_ADMIN_LISTEN) does not answer`, { cause });
    }
    const value = parsed(body);
    if (value && status !== undefined && status < 300) return value;
    if (typeof value?.error === 'string')
      throw new ServerRefused(`the server at ${address} refuses: ${value.error}`, status ?? 0);
    if (status === 404 && body === NOT_FOUND) throw new NoSuchPath(`the server at ${address} knows no ${path}`);
    throw new Error(`what answers at ${address} (GEO_ADMIN_LISTEN) is no geo-registry-proxy: status ${status}`);
  }

  return {
    address,
    get: (path) => ask('GET', path, '', LOOK_PATIENCE),
    post: (path, body) => ask('POST', path, JSON.stringify(body), ORDER_PATIENCE),
    close: () => agent.destroy(),
  };
}
