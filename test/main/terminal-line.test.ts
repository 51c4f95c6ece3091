// The log at a terminal: a pull is one short line, and clients cannot write to the terminal by it.
import { expect, test } from 'vitest';
import { terminalFormat } from '../../src/main/terminal-line.ts';

const time = new Date(2026, 10, 26, 3, 4, 5).getTime();
const line = {
  level: 30,
  time,
  site: 'berlin',
  method: 'GET',
  kind: 'manifest',
  repository: 'demo/rnd',
  reference: '1',
  digest: `sha256:${'a'.repeat(64)}`,
  origin: 'primary',
  status: 200,
  bytes: 3_040_870,
  ms: 127,
  ttfb: 120,
  user: 'demo',
  client: 'docker/28.2',
  msg: 'answered',
};
const plain = terminalFormat({ isColoured: false });

test('a pull is one line', () => {
  expect(plain(JSON.stringify(line))).toBe('[03:04:05] 200 GET demo/rnd:1 primary 2.9 MiB 127 ms demo docker/28\n');
});

test('a failure ends with its cause; a digest is short', () => {
  const { reference: _, origin: __, ...rest } = line;
  const failed = { ...rest, status: 503, bytes: 0, cause: 'primary: ECONNREFUSED' };
  expect(plain(JSON.stringify(failed))).toBe(
    '[03:04:05] 503 GET demo/rnd@sha256:aaaaaaaaaaaa 127 ms demo docker/28 (primary: ECONNREFUSED)\n',
  );
});

test('colours are there where they are wanted', () => {
  const [escape] = ['\u{1b}'];
  expect(terminalFormat({ isColoured: true })(JSON.stringify(line))).toContain(`${escape}[32m200`);
  expect(plain(JSON.stringify(line))).not.toContain(escape);
  expect(plain(JSON.stringify({ level: 40, time, msg: 'registry is down', registry: 'primary' }))).not.toContain(
    escape,
  );
});

test('what a client sent writes nothing to the terminal but text', () => {
  const evil = { ...line, user: 'a\u{1b}[2Jb\u{202e}\nc', cause: '\u{1b}]0;x\u{7}' };
  expect(plain(JSON.stringify(evil))).not.toMatch(/[\p{Cc}\p{Cf}](?!$)/u);
});

test('every other line is told with its fields', () => {
  const told = plain(JSON.stringify({ level: 40, time, msg: 'registry is down', registry: 'primary' }));
  expect(told).toMatch(/WARN.*registry is down/);
  expect(told).toContain('primary');
});
