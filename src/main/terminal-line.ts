// The log for a person at a terminal: one short coloured line a pull; pino-pretty's for everything else.
import { styleText } from 'node:util';
import { prettyFactory } from 'pino-pretty';
import { bytesText, durationText, imageText, visibleText } from '../status/figures.ts';

type Style = Parameters<typeof styleText>[0];

function statusStyle(status: number): Style {
  if (status >= 500) return 'red';
  return status >= 400 ? 'yellow' : 'green';
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** What was asked for, as people write it. */
function whatOf({ repository, reference, digest, path }: Record<string, unknown>): string {
  if (typeof repository !== 'string') return String(path ?? '');
  const named = reference ?? (typeof digest === 'string' ? digest.slice(0, 19) : undefined);
  return named === undefined ? repository : imageText(repository, String(named));
}

/** A function that makes readable text of a line of JSON: `200 GET demo/rnd:1 primary 2.9 MiB 127 ms demo docker/28`. */
export function terminalFormat({ isColoured }: { readonly isColoured: boolean }): (line: string) => string {
  const pretty = prettyFactory({ colorize: isColoured, ignore: 'pid,hostname,site', translateTime: 'SYS:HH:MM:ss' });
  const paint = (style: Style, text: string): string =>
    isColoured ? styleText(style, text, { validateStream: false }) : text;

  function pull(line: Record<string, unknown>): string {
    const { time, status, method, origin, bytes, ms, user, client, cause } = line;
    const at = new Date(Number(time));
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    const product = typeof client === 'string' ? client.replace(/\.\d+$/, '') : undefined;
    const parts = [
      paint('dim', `[${clock}]`),
      paint(statusStyle(Number(status)), String(status)),
      method,
      paint('bold', whatOf(line)),
      origin === undefined ? undefined : paint('cyan', String(origin)),
      Number(bytes) > 0 ? bytesText(Number(bytes)) : undefined,
      durationText(Number(ms)),
      user,
      product,
      cause === undefined ? undefined : paint('dim', `(${String(cause)})`),
    ];
    const text = parts.filter((part) => part !== undefined).map(String);
    return `${text.join(' ')}\n`;
  }

  return (text) => {
    const line = JSON.parse(text) as Record<string, unknown>;
    if (line['msg'] !== 'answered') return pretty(text);
    // What clients send must not write to the terminal by itself.
    const shown = Object.entries(line).map(([key, value]) => [
      key,
      typeof value === 'string' ? visibleText(value) : value,
    ]);
    return pull(Object.fromEntries(shown));
  };
}
