// What the demo prints: numbered steps in plain lines, and checks that end it with one clear line.
import type { RelayRequest } from '../test/support/relay.ts';

/** A step did not show what it should. */
export class DemoError extends Error {}

/** Throws a DemoError unless the condition holds. */
export function expectThat(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new DemoError(otherwise);
}

/** Prints a line. */
export function say(line = ''): void {
  console.log(line);
}

let steps = 0;

/** Prints the headline of the next step. */
export function step(headline: string): void {
  steps += 1;
  say();
  say(`${steps}. ${headline}`);
}

/** Prints a detail of the current step. */
export function detail(line: string): void {
  say(`   ${line}`);
}

/** Bytes as a person reads them. */
export function readableBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(2)} MB`;
}

function kindOf({ method, path }: RelayRequest): string {
  const noun = /\/(manifest|blob)s\//.exec(path)?.[1] ?? path;
  return `${method} ${noun}`;
}

/** What crossed to the primary, in one line: `5 requests crossed to the primary (1 × HEAD manifest, …), 1.10 MB`. */
export function readableTraffic(requests: readonly RelayRequest[]): string {
  const counts = new Map<string, number>();
  for (const request of requests) counts.set(kindOf(request), (counts.get(kindOf(request)) ?? 0) + 1);
  const kinds = [...counts].map(([kind, count]) => `${count} × ${kind}`).join(', ');
  const bytes = requests.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  const noun = requests.length === 1 ? 'request' : 'requests';
  if (requests.length === 0) return 'nothing crossed to the primary';
  return `${requests.length} ${noun} crossed to the primary (${kinds}), ${readableBytes(bytes)}`;
}
