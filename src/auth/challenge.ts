// WWW-Authenticate: parses a registry's challenges, and writes our own.

/** One challenge; scheme and parameter names are in lower case (RFC 9110 section 11.6.1). */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** The parameters of a Bearer challenge (Distribution spec/auth/token.md). */
export interface BearerParameters {
  readonly realm: string;
  readonly service: string;
  readonly scope?: string | undefined;
  readonly error?: 'invalid_token' | 'insufficient_scope' | undefined;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const SEPARATORS = /[\s,]*/y;
// An unterminated quoted string is read to the end.
const PARAMETER = new RegExp(`(${TOKEN})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\[^])*)\\\\?(?:"|$)|(${TOKEN}))`, 'y');
const SCHEME = new RegExp(`(${TOKEN})(?=[\\s,]|$)`, 'y');
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;
const ELSE = /[^\s,]*/y;

/** Matches patterns one after the other, each where the last one ended. */
function createScanner(text: string): { take(pattern: RegExp): RegExpExecArray | null; atEnd(): boolean } {
  let position = 0;
  return {
    take(pattern) {
      pattern.lastIndex = position;
      const match = pattern.exec(text);
      if (match) position += match[0].length;
      return match;
    },
    atEnd: () => position >= text.length,
  };
}

/**
 * The challenges of a WWW-Authenticate header: several in one header, quoted strings with commas and escapes, token68
 * (skipped). Never throws; what is not a challenge is skipped.
 */
export function parseChallenges(header: string | undefined): Challenge[] {
  const scanner = createScanner(header ?? '');
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  for (scanner.take(SEPARATORS); !scanner.atEnd(); scanner.take(SEPARATORS)) {
    const parameter = scanner.take(PARAMETER);
    if (parameter) {
      const [, name, quoted, plain] = parameter;
      const parameters = challenges.at(-1)?.parameters;
      const key = name!.toLowerCase();
      if (parameters && !parameters.has(key)) parameters.set(key, plain ?? quoted!.replace(/\\([^])/g, '$1'));
      continue;
    }
    const scheme = scanner.take(SCHEME);
    if (scheme) {
      challenges.push({ scheme: scheme[1]!.toLowerCase(), parameters: new Map() });
      scanner.take(/[ \t]*/y);
      // A parameter's name looks like a token68: it is one only before a comma or the end.
      scanner.take(TOKEN68);
      continue;
    }
    scanner.take(ELSE);
  }
  return challenges;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** The value of our own WWW-Authenticate (RFC 6750 section 3; parameters in the order in which Distribution sends them). */
export function bearerChallenge({ realm, service, scope, error }: BearerParameters): string {
  const parameters = Object.entries({ realm, service, scope, error }).filter(([, value]) => value !== undefined);
  return `Bearer ${parameters.map(([name, value]) => `${name}=${quote(value!)}`).join(',')}`;
}
