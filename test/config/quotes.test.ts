import { expect, test } from 'vitest';
import { environment, problems } from './environment.ts';

const rest = "remove the quotes: docker's --env-file passes them on as part of the value";

// What `docker run --env-file` makes of GEO_PRIMARY_URL="https://…".
test.each([
  ['GEO_PRIMARY_URL', '"https://registry.example.com"', '"'],
  ['GEO_SECONDARY_AUTH', "'none'", "'"],
  ['GEO_KEY_FILE', '"/etc/key.pem"', '"'],
  // Would be accepted as a part of the secret, and no notification would carry it.
  ['GEO_EVENTS_TOKEN', '"a-secret-of-both"', '"'],
  ['GEO_ADMIN_TOKEN_FILE', '"/run/secrets/token"', '"'],
  ['GEO_CA_FILE', '""', '"'],
])('%s with its quotes is refused in one line, which says so', (name, value, quote) => {
  expect(problems({ ...environment(), [name]: value })).toEqual([
    `${name}: the value is in quotes (${quote}); ${rest}`,
  ]);
});

test('a quote alone is part of a value', () => {
  expect(problems({ ...environment(), GEO_EVENTS_TOKEN: `"a-secret'` })).toEqual([]);
});
