import { describe, expect, it } from 'vitest';
import { bearerChallenge, parseChallenges } from '../../src/auth/challenge.ts';

function plain(header: string | undefined): unknown {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

describe('parseChallenges', () => {
  it('keeps the commas of a quoted scope', () => {
    expect(plain('Bearer realm="https://a/jwt/auth",service="r",scope="repository:a/b:pull,push"')).toEqual([
      ['bearer', { realm: 'https://a/jwt/auth', service: 'r', scope: 'repository:a/b:pull,push' }],
    ]);
  });

  it('reads several challenges of one header', () => {
    expect(plain('Negotiate, Basic realm="x", charset="UTF-8", Bearer realm="https://a",service=r')).toEqual([
      ['negotiate', {}],
      ['basic', { realm: 'x', charset: 'UTF-8' }],
      ['bearer', { realm: 'https://a', service: 'r' }],
    ]);
  });

  it.each([
    ['names in any case', 'BEARER Realm=x', [['bearer', { realm: 'x' }]]],
    ['spaces around the equals sign', 'Basic realm = "x y" , a=b', [['basic', { realm: 'x y', a: 'b' }]]],
    ['escapes', String.raw`Basic realm="a\"b\\c"`, [['basic', { realm: String.raw`a"b\c` }]]],
    ['an empty quoted string', 'Basic realm=""', [['basic', { realm: '' }]]],
    [
      'token68',
      'Negotiate YWJj==, Basic realm="x"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    ['empty list elements', ', ,Basic realm="x",,a=b,', [['basic', { realm: 'x', a: 'b' }]]],
    ['the first of a name that stands twice', 'Basic realm=a, realm=b', [['basic', { realm: 'a' }]]],
    ['names of Object.prototype', 'Basic __proto__=a, toString=b', [['basic', { ['__proto__']: 'a', tostring: 'b' }]]],
    [
      'no comma between challenges',
      'Basic Bearer realm="x"',
      [
        ['basic', {}],
        ['bearer', { realm: 'x' }],
      ],
    ],
    ['an unterminated quote', 'Basic realm="x, y', [['basic', { realm: 'x, y' }]]],
    ['an unterminated escape', 'Basic realm="x\\', [['basic', { realm: 'x' }]]],
    ['parameters without a scheme', 'realm="x"', []],
    ['garbage before a challenge', '"" = ;; Bearer realm=x', [['bearer', { realm: 'x' }]]],
    ['nothing', '', []],
    ['no header', undefined, []],
  ])('reads %s', (_what, header, expected) => {
    expect(plain(header)).toEqual(expected);
  });

  it('ends on any text', () => {
    let state = 7;
    const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
    const alphabet = ['"', '\\', ',', '=', ' ', '\t', 'a', 'Bearer', 'realm', ';', 'é', '\0', '\n', '==', '"x,y"'];
    for (let round = 0; round < 5_000; round += 1) {
      const text = Array.from({ length: random(30) }, () => alphabet[random(alphabet.length)]).join('');
      for (const { scheme, parameters } of parseChallenges(text)) {
        expect(text.toLowerCase()).toContain(scheme);
        for (const name of parameters.keys()) expect(text.toLowerCase()).toContain(name);
      }
    }
  });
});

describe('bearerChallenge', () => {
  it("is in Distribution's form", () => {
    const challenge = bearerChallenge({
      realm: 'https://gitlab.example.com/jwt/auth',
      service: 'container_registry',
      scope: 'repository:a/b:pull',
      error: 'insufficient_scope',
    });
    expect(challenge).toBe(
      'Bearer realm="https://gitlab.example.com/jwt/auth",service="container_registry",scope="repository:a/b:pull",error="insufficient_scope"',
    );
  });

  it('leaves out what it was not given', () => {
    expect(bearerChallenge({ realm: 'https://a', service: 'r' })).toBe('Bearer realm="https://a",service="r"');
  });

  it('is read back as it was meant', () => {
    const service = String.raw`we"ird\, service`;
    expect(parseChallenges(bearerChallenge({ realm: 'https://a', service }))[0]?.parameters.get('service')).toBe(
      service,
    );
  });
});
