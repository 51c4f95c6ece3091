// The first questions of init: where everything is. Each registry's URL is looked at when it is given.
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { KeyRing } from '../auth/key-ring.ts';
import { registryUrl } from '../config/address.ts';
import { authoritiesFile, certificatesFile } from '../config/pem-file.ts';
import { machine } from '../config/variable.ts';
import { variables } from '../config/variables.ts';
import type { Look } from '../doctor/look.ts';
import type { Values } from '../init/answers.ts';
import { USUAL_SERVICE } from '../init/settings.ts';
import { lookAtSide, lookProblem, type SideName, type SideOptions } from '../init/side.ts';
import { checkedBy, WrongAnswer, type Asker, type Question } from './init-ask.ts';
import type { InitOptions } from './init-command.ts';

/** What is there before the first question. */
export interface Start {
  readonly asker: Asker;
  readonly options: InitOptions;
  /** Variables of an earlier proxy.env, and of the environment. */
  readonly earlier: Values;
  readonly earlierUrl?: string | undefined;
  readonly earlierTls: { readonly certificate?: string; readonly key?: string };
}

/** A registry that answers at its URL. */
export interface Place {
  readonly url: URL;
  readonly look: Look;
}

/** Where everything is. */
export interface Places {
  readonly primary: Place;
  readonly secondary: Place;
  readonly publicUrl: URL;
  readonly siteName: string;
  readonly dataDir: string;
  readonly tlsCertificate: string;
  readonly tlsKey: string;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
}

/** Milliseconds for one answer. */
export const TIMEOUT = 5_000;

const DATA_DIR = '/var/lib/geo-registry-proxy';

/** How to ask a registry without credentials. */
export function anonymous(url: URL, caFile: string | undefined): SideOptions {
  const keys = new KeyRing({ onError: () => undefined });
  const settings = { tokenIssuer: '', tokenService: USUAL_SERVICE, tokenKeyId: 'libtrust' } as const;
  return { url, auth: 'none', keys, caFile, settings, timeout: TIMEOUT };
}

/** Looks at a registry's URL; `other` is that of the other one. */
function placeAt(name: SideName, caFile: string | undefined, other: URL | undefined): Question<Place>['check'] {
  return async (text) => {
    const url = checkedBy(registryUrl)(text);
    if (url.href === other?.href)
      throw new WrongAnswer(`${url.origin} is the primary registry, too; give the local one`);
    const look = await lookAtSide(name, anonymous(url, caFile));
    const problem = lookProblem(url, look);
    if (problem !== undefined || look.kind !== 'look')
      throw new WrongAnswer((problem ?? '').replace('the file of GEO_CA_FILE', 'the file of --ca'));
    return { url, look };
  };
}

/** A file that a flag or a variable names, where one does. */
function fileOf({ asker, earlier }: Start, flag: string, given: string | undefined, variable: keyof typeof FILES) {
  const known = earlier[variable];
  // Not asked for: few sites have one.
  if (given === undefined && known === undefined) return undefined;
  const [what, parser] = FILES[variable];
  return asker.ask({ flag, what, given: given ?? known, check: checkedBy(parser) });
}

const FILES = {
  GEO_CA_FILE: ['file with more certificate authorities', authoritiesFile],
  GEO_CERT_FILE: ["file with the certificates that clients' tokens are signed with", certificatesFile],
} as const;

function siteNameOf({ options, earlier }: Start): string | undefined {
  return options.site ?? earlier['GEO_SITE_NAME'] ?? variables.siteName.derived({}, { ...machine, hostname });
}

/** Asks for all of it; undefined where something is missing or wrong. */
export async function askPlaces(start: Start): Promise<Places | undefined> {
  const { asker, options, earlier, earlierUrl, earlierTls } = start;
  const caFile = await fileOf(start, '--ca <file>', options.ca, 'GEO_CA_FILE');
  const certFile = await fileOf(start, '--cert <file>', options.cert, 'GEO_CERT_FILE');
  const primary = await asker.ask({
    flag: '--primary <url>',
    what: "the primary registry's URL, such as https://registry.primary.example.com:5050",
    given: options.primary,
    known: earlier['GEO_PRIMARY_URL'],
    check: placeAt('primary', caFile, undefined),
  });
  const secondary = await asker.ask({
    flag: '--secondary <url>',
    what: "the local registry's URL, such as http://127.0.0.1:5000",
    given: options.secondary,
    known: earlier['GEO_SECONDARY_URL'],
    check: placeAt('secondary', caFile, primary?.url),
  });
  const publicUrl = await asker.ask({
    flag: '--url <url>',
    what: 'the URL that clients pull from, such as https://registry.secondary.example.com',
    given: options.url,
    known: earlierUrl,
    check: checkedBy(registryUrl),
  });
  const siteName = await asker.ask({
    flag: '--site <name>',
    what: "this site's name",
    known: siteNameOf(start),
    given: options.site,
    check: checkedBy(variables.siteName.value),
  });
  if (asker.problems.length > 0 || !primary || !secondary || !publicUrl || siteName === undefined) return undefined;
  const ssl = (end: string): string => join('/etc/nginx/ssl', `${publicUrl.hostname}.${end}`);
  return {
    primary,
    secondary,
    publicUrl,
    siteName,
    dataDir: resolve(options.dataDir ?? earlier['GEO_DATA_DIR'] ?? DATA_DIR),
    tlsCertificate: options.tlsCert ?? earlierTls.certificate ?? ssl('crt'),
    tlsKey: options.tlsKey ?? earlierTls.key ?? ssl('key'),
    caFile,
    certFile,
  };
}
