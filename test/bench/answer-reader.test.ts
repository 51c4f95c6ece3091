import { expect, test } from 'vitest';
import { AnswerReader } from '../../scripts/bench/answer-reader.ts';

/** Feeds a text in parts of each size, and gives what was read every time. */
function readInParts(text: string, hasBody = true): { status: number; bytes: number; body: string; isDone: boolean }[] {
  const bytes = Buffer.from(text, 'latin1');
  return [1, 2, 3, 7, bytes.length].map((size) => {
    let body = '';
    const reader = new AnswerReader({ hasBody, onBody: (part) => (body += part.toString('latin1')) });
    for (let at = 0; at < bytes.length; at += size) reader.feed(bytes.subarray(at, at + size));
    return { status: reader.status, bytes: reader.bytes, body, isDone: reader.isDone };
  });
}

const head = (...lines: string[]): string => `HTTP/1.1 ${lines.join('\r\n')}\r\n\r\n`;

test.each([
  { what: 'with a length', text: `${head('200 OK', 'Content-Length: 5')}hello`, status: 200, body: 'hello' },
  {
    what: 'in chunks',
    text: `${head('200 OK', 'Transfer-Encoding: chunked')}3\r\nhel\r\nA\r\nlo, world!\r\n0\r\n\r\n`,
    status: 200,
    body: 'hello, world!',
  },
  { what: 'that is empty', text: head('404 Not Found', 'Content-Length: 0'), status: 404, body: '' },
])('an answer $what is read whole, whatever the parts it comes in', ({ text, status, body }) => {
  for (const read of readInParts(text)) expect(read).toEqual({ status, bytes: body.length, body, isDone: true });
});

test('an answer to HEAD has no body, whatever length it tells', () => {
  for (const read of readInParts(head('200 OK', 'Content-Length: 700'), false)) {
    expect(read).toMatchObject({ bytes: 0, isDone: true });
  }
});

test('an answer without a length ends with its connection, one with a length breaks off', () => {
  const open = new AnswerReader({ hasBody: true });
  open.feed(Buffer.from(`${head('200 OK')}hello`));
  expect(open.isDone).toBe(false);
  open.end();
  expect(open).toMatchObject({ isDone: true, bytes: 5 });

  const cut = new AnswerReader({ hasBody: true });
  cut.feed(Buffer.from(`${head('200 OK', 'Content-Length: 9')}hello`));
  expect(() => cut.end()).toThrow('broke off after 5 bytes');
});
