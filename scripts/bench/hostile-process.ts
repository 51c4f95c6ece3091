// The process of a primary that means harm: what is asked of the repositories below `hostile` it answers by itself, each
// kind in its own bad way; everything else it passes on to a registry.
import { createServer, request as httpRequest, Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';

/** The registry behind it: a port of 127.0.0.1. */
export interface HostileOptions {
  readonly target: number;
}

/** What the process says once it listens, and whenever it is asked: requests since the last time. */
export type HostileReply = { readonly port: number } | { readonly requests: number };

/** Names in a page of the catalog. */
const NAMES = 300_000;
const LINK = `${'<'.repeat(15_000)}a>; rel="next"`;
const INDEX = 'application/vnd.oci.image.manifest.v1+json';

const { target } = JSON.parse(process.argv[2]!) as HostileOptions;
const agent = new Agent({ keepAlive: true });
let requests = 0;

const names = Array.from({ length: NAMES }, (_, nth) => `hostile/name-${nth}`);
const catalog = Buffer.from(JSON.stringify({ repositories: names }));

/** A body of which a byte comes each second. */
function drip(response: ServerResponse, headers: Record<string, string>, length: number): void {
  response.writeHead(200, { ...headers, 'content-length': length });
  response.flushHeaders();
  const timer = setInterval(() => response.write('{'), 1_000);
  response.once('close', () => clearInterval(timer));
}

function passOn(incoming: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = incoming;
  const outgoing = httpRequest({ agent, host: '127.0.0.1', port: target, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers);
    pipeline(answer, response, () => undefined);
  });
  outgoing.once('error', () => response.destroy());
  response.once('close', () => outgoing.destroy());
  pipeline(incoming, outgoing, () => undefined);
}

const server = createServer((incoming, response) => {
  requests += 1;
  const { url = '' } = incoming;
  const digest = /sha256:[0-9a-f]{64}/.exec(url)?.[0] ?? '';
  const named = { 'docker-content-digest': digest };
  if (url.startsWith('/v2/hostile/slow/manifests/')) drip(response, { ...named, 'content-type': INDEX }, 100_000);
  else if (url.startsWith('/v2/hostile/slow/blobs/')) drip(response, named, 64 * 1024 * 1024);
  else if (url.startsWith('/v2/hostile/links/tags/')) {
    response
      .writeHead(200, { 'content-type': 'application/json', link: LINK })
      .end('{"name":"hostile/links","tags":["a"]}');
  } else if (url.startsWith('/v2/_catalog')) {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': catalog.length }).end(catalog);
  } else passOn(incoming, response);
}).listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number };
  process.send!({ port } satisfies HostileReply);
});
process.on('message', () => {
  process.send!({ requests } satisfies HostileReply);
  requests = 0;
});
process.on('disconnect', () => process.exit());
