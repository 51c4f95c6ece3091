// What the demo prints: numbered steps with a ✓ for each thing that was checked, in colour on a terminal (NO_COLOR).
import { styleText } from 'node:util';
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

/** Prints a headline, after an empty line. */
export function headline(text: string): void {
  say();
  say(styleText('bold', text));
}

/** Prints the headline of a step. */
export function stepHeadline(number: number, title: string): void {
  headline(`${styleText('cyan', `${number}.`)} ${title}`);
}

/** Prints what the current step does, or an explanation. */
export function detail(line: string): void {
  say(`   ${styleText('gray', line)}`);
}

/** Prints what the current step has shown: call it after the check. */
export function shown(line: string): void {
  say(`   ${styleText('green', '✓')} ${line}`);
}

/** Prints on standard error why the demo ended early. */
export function failed(message: string): void {
  const cross = styleText('red', '✗', { stream: process.stderr });
  console.error(`\n   ${cross} The demo failed: ${message}`);
}

/** Bytes as a person reads them, in the units of the page and of the commands. */
export function readableBytes(bytes: number): string {
  if (bytes < 1_024) return `${bytes} bytes`;
  const kibibytes = bytes / 1_024;
  return kibibytes < 1_024 ? `${kibibytes.toFixed(1)} KiB` : `${(kibibytes / 1_024).toFixed(2)} MiB`;
}

function kindOf({ method, path }: RelayRequest): string {
  const noun = /\/(manifest|blob)s\//.exec(path)?.[1] ?? path;
  return `${method} ${noun}`;
}

/** What crossed to the primary, in one line: `1.10 MiB crossed from the primary, in 5 requests (1 × HEAD manifest, …)`. */
export function readableTraffic(requests: readonly RelayRequest[]): string {
  if (requests.length === 0) return 'nothing crossed from the primary';
  const counts = new Map<string, number>();
  for (const request of requests) counts.set(kindOf(request), (counts.get(kindOf(request)) ?? 0) + 1);
  const kinds = [...counts].map(([kind, count]) => `${count} × ${kind}`).join(', ');
  const bytes = requests.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  const noun = requests.length === 1 ? 'request' : 'requests';
  return `${readableBytes(bytes)} crossed from the primary, in ${requests.length} ${noun} (${kinds})`;
}
