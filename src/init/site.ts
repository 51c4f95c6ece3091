// The nginx site: nginx/registry.conf, which comes with the program, with this site's names.
import type { ListenAddress } from '../config/variable.ts';

/** What the site has of this one. */
export interface SiteOptions {
  readonly publicUrl: URL;
  readonly certificate: string;
  readonly key: string;
  /** Where the proxy listens (`GEO_LISTEN`). */
  readonly upstream: ListenAddress;
}

const EXAMPLE = 'registry.secondary.example.com';

/** Replaces what has to be there. */
function replaced(text: string, wanted: string | RegExp, by: string, file = 'nginx/registry.conf'): string {
  const isThere = typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text);
  if (!isThere) throw new Error(`${file} holds no ${String(wanted)}: it is of another version`);
  return text.replaceAll(wanted, () => by);
}

function addressOf({ host, port }: ListenAddress): string {
  if (host === '::' || host === '0.0.0.0') return `127.0.0.1:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function path(file: string): string {
  if (/[\s;{}"'$\\]/.test(file))
    throw new Error(`${JSON.stringify(file)} cannot stand in an nginx site: choose another path`);
  return file;
}

/** The site's text from that of nginx/registry.conf. @throws Error where the text is another, or a path cannot stand in it */
export function nginxSite(template: string, { publicUrl, certificate, key, upstream }: SiteOptions): string {
  const port = publicUrl.port === '' ? '443' : publicUrl.port;
  const substitutions: readonly (readonly [wanted: string | RegExp, by: string])[] = [
    [/# To edit before use:\n(?:#.*\n)+/g, `# Written by geo-registry-proxy init for ${publicUrl.origin}\n`],
    [`/etc/nginx/ssl/${EXAMPLE}.crt`, path(certificate)],
    [`/etc/nginx/ssl/${EXAMPLE}.key`, path(key)],
    [`server_name ${EXAMPLE};`, `server_name ${publicUrl.hostname};`],
    ['listen 443 ssl', `listen ${port} ssl`],
    ['listen [::]:443 ssl', `listen [::]:${port} ssl`],
    ['server 127.0.0.1:5080;', `server ${addressOf(upstream)};`],
    ...(port === '443' ? [] : [['https://$server_name$', `https://$server_name:${port}$`] as const]),
  ];
  return substitutions.reduce((text, [wanted, by]) => replaced(text, wanted, by), template);
}

/** The paths of certificate and key in an earlier site. */
export function tlsFilesIn(site: string): { readonly certificate?: string; readonly key?: string } {
  const value = (directive: string): string | undefined =>
    new RegExp(`^\\s*${directive}\\s+([^\\s;]+);`, 'm').exec(site)?.[1];
  const [certificate, key] = [value('ssl_certificate'), value('ssl_certificate_key')];
  return { ...(certificate === undefined ? {} : { certificate }), ...(key === undefined ? {} : { key }) };
}

/** The block for an Omnibus's /etc/gitlab/gitlab.rb from that of deploy/omnibus/gitlab.rb. @throws Error where the text is another */
export function omnibusSite(template: string, upstream: ListenAddress): string {
  const by = `proxy_pass http://${addressOf(upstream)};`;
  return replaced(template, 'proxy_pass http://127.0.0.1:5080;', by, 'deploy/omnibus/gitlab.rb');
}
