// What is kept of a registry's own words.
import { expect, test } from 'vitest';
import { saidOf, saidText } from '../../src/registry/said.ts';

const body = (...errors: object[]): string => JSON.stringify({ errors });

test('code, message and detail are kept, whatever the detail is', () => {
  const said = saidOf(
    400,
    body(
      { code: 'MANIFEST_INVALID', message: 'manifest invalid', detail: 'unknown media type: a/b' },
      { code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown', detail: { digest: 'sha256:0' } },
      { code: 'UNKNOWN', message: 'unknown error', detail: {} },
    ),
  );
  expect(said.status).toBe(400);
  expect(saidText(said)).toBe(
    'MANIFEST_INVALID, manifest invalid, unknown media type: a/b; MANIFEST_BLOB_UNKNOWN, blob unknown, {"digest":"sha256:0"}; UNKNOWN, unknown error',
  );
});

test('what says the same is said once, and no more than four errors are kept', () => {
  const same = { code: 'UNKNOWN', message: 'unknown error' };
  expect(saidText(saidOf(500, body(same, same)))).toBe('UNKNOWN, unknown error');
  expect(saidOf(500, body(...Array.from({ length: 1_000 }, () => same))).errors).toHaveLength(4);
});

test('each text has its bound', () => {
  const long = 'x'.repeat(60_000);
  const [error] = saidOf(500, body({ code: long, message: long, detail: long })).errors;
  expect([error!.code.length, error!.message.length, error!.detail.length]).toEqual([64, 256, 512]);
});

test.each([
  ['lines', 'one\r\n\u0000two\u2028three\u202e', 'one two three'],
  ['a token', 'got Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJtZSJ9.c2ln here', 'got Bearer … here'],
  ['a bare token', 'token eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJtZSJ9.c2ln', 'token …'],
  [
    'a signed URL',
    'PUT https://s3.example.com/a/b?X-Amz-Signature=abc&X-Amz-Date=1 failed',
    'PUT https://s3.example.com/a/b?… failed',
  ],
  ['a user name', 'dial postgres://registry:secret@db:5432/x', 'dial postgres://db:5432/x'],
])('%s of a message goes into no log', (_what, message, expected) => {
  expect(saidOf(500, body({ code: 'UNKNOWN', message })).errors[0]!.message).toBe(expected);
});

test.each(['', '<html>', '[]', '{"errors":{}}', 'null', '{"errors":[null,1,{"message":"no code"}]}'])(
  'a body that is no error of a registry says nothing: %s',
  (text) => {
    expect(saidOf(502, text)).toEqual({ status: 502, errors: [] });
  },
);
