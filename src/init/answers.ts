// Everything that a site's files are made of.
import type { Config } from '../config/config.ts';
import type { Settings } from '../doctor/token.ts';
import type { Facts } from './facts.ts';

/** Values of variables by their names. */
export type Values = Readonly<Record<string, string>>;

/** What a person answered, and what was found out. */
export interface Answers {
  readonly primaryUrl: URL;
  readonly secondaryUrl: URL;
  /** The URL that clients pull from, and that the primary's notifications go to. */
  readonly publicUrl: URL;
  readonly siteName: string;
  readonly dataDir: string;
  readonly primaryAuth: Config['primaryAuth'];
  readonly secondaryAuth: Config['secondaryAuth'];
  readonly clientAuth: Config['clientAuth'];
  readonly keyFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly realm?: string | undefined;
  readonly settings: Settings;
  readonly replication: boolean;
  /** The certificate of the public host, and its key, for nginx. */
  readonly tlsCertificate: string;
  readonly tlsKey: string;
  readonly primary: Facts;
  readonly secondary: Facts;
}
