// The shape of one configuration variable, and of the parser that reads its text.
import { hostname } from 'node:os';

/** Where a listener is bound: a host name or a bare IP address (`::1` without brackets), and a port (0: any free one). */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What reading a configuration needs from the machine apart from files. */
export interface Effects {
  readonly hostname: () => string;
  /** The directory that relative paths start from. */
  readonly cwd: () => string;
}

/** The real machine. */
export const machine: Effects = { hostname, cwd: () => process.cwd() };

/** Turns a variable's text into its value, or throws a {@link WrongValue}; `allowed` ends the line that refuses it. */
export interface Parser<T> {
  readonly allowed: string;
  readonly parse: (text: string, effects: Effects) => T;
}

/** Why a text is refused, without the text itself (it may be a secret): `is not a duration`. */
export class WrongValue extends Error {
  override readonly name = 'WrongValue';
  /** The part of the text that is wrong, where that is not all of it. */
  readonly part: string | undefined;

  constructor(problem: string, part?: string, options?: ErrorOptions) {
    super(problem, options);
    this.part = part;
  }
}

/** Values of other variables that conditions look at; one that is wrong itself is absent. */
export interface Known {
  readonly listen?: ListenAddress;
  readonly adminListen?: ListenAddress;
  readonly primaryUrl?: URL;
  readonly secondaryUrl?: URL;
  readonly primaryAuth?: string;
  readonly secondaryAuth?: string;
  readonly clientAuth?: string;
  readonly tokenRealm?: string;
  readonly tokenKeyId?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly blobDelivery?: string;
}

/** One entry of the declaration: all that the loader, `--help` and docs/configuration.md say of a variable. */
export interface Variable {
  readonly name: `GEO_${string}`;
  /** One line of Markdown for the table and for `--help`. */
  readonly help: string;
  readonly value: Parser<unknown>;
  /** The text that is parsed when the variable is not set. */
  readonly default?: string;
  /** A default that depends on the machine or on variables declared before. */
  readonly derived?: (known: Known, effects: Effects) => string | undefined;
  readonly required?: true;
  /** The reason why it is required in this configuration, if there is one; the environment tells wrong from not set. */
  readonly requiredWhen?: (known: Known, env: NodeJS.ProcessEnv) => string | undefined;
  /** What the default column shows in the place of `default`. */
  readonly shown?: string;
  /** Its value is never shown, and it may be given as `<name>_FILE`. */
  readonly secret?: true;
  /** Why a value that is right by itself is refused in this configuration. */
  readonly conflict?: (known: Known) => string | undefined;
  /** What the operator should hear about a value that is accepted. */
  readonly warn?: (known: Known) => string | undefined;
}
