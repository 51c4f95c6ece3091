import { describe, expect, it } from 'vitest';
import { codesOf, errorBody, OciError } from '../../src/oci/error.ts';

describe('an OciError', () => {
  it.each([
    ['UNAUTHORIZED', 401],
    ['DENIED', 403],
    ['MANIFEST_UNKNOWN', 404],
    ['BLOB_UNKNOWN', 404],
    ['NAME_UNKNOWN', 404],
    ['NAME_INVALID', 400],
    ['DIGEST_INVALID', 400],
    ['UNSUPPORTED', 405],
    ['TOOMANYREQUESTS', 429],
    ['RANGE_INVALID', 416],
    ['UNAVAILABLE', 503],
  ] as const)('of %s goes out with %i', (code, status) => {
    expect(new OciError(code, 'x').status).toBe(status);
  });

  it('takes another status, headers, detail and a cause', () => {
    const cause = new Error('why');
    const error = new OciError('UNSUPPORTED', 'no', { status: 404, headers: { a: 'b' }, detail: { c: 1 }, cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'OciError',
      message: 'no',
      status: 404,
      headers: { a: 'b' },
      detail: { c: 1 },
      cause,
    });
  });
});

describe('errorBody', () => {
  it("is the specification's", () => {
    expect(JSON.parse(errorBody('DENIED', 'no "entry"'))).toEqual({
      errors: [{ code: 'DENIED', message: 'no "entry"' }],
    });
  });

  it.each([null, [], { Name: 'a' }])('has %j as its detail', (detail) => {
    expect(JSON.parse(errorBody('DENIED', 'no', detail)).errors[0].detail).toEqual(detail);
  });
});

describe('codesOf', () => {
  it('reads what errorBody wrote', () => {
    expect(codesOf(errorBody('BLOB_UNKNOWN', 'x'))).toEqual(['BLOB_UNKNOWN']);
  });

  it.each([
    '',
    '404 page not found',
    '<html>MANIFEST_UNKNOWN</html>',
    'null',
    '1',
    '[]',
    '{}',
    '{"errors":null}',
    '{"errors":{"code":"BLOB_UNKNOWN"}}',
    '{"errors":[null,1,"BLOB_UNKNOWN",{},{"code":1}]}',
  ])('finds none in %s', (body) => {
    expect(codesOf(body)).toEqual([]);
  });
});
