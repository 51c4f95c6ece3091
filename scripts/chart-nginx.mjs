// The nginx of one URL in the Helm chart: nginx/unified-url.conf without TLS, which the ingress ends, and with the primary of
// the values. `node scripts/chart-nginx.mjs` writes it into the chart; a test holds the two together.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../nginx/unified-url.conf', import.meta.url));
const target = fileURLToPath(new URL('../deploy/helm/geo-registry-proxy/files/one-url.conf', import.meta.url));

const HEAD = `# Made by scripts/chart-nginx.mjs of nginx/unified-url.conf: pulls go to the proxy, pushes to the primary.

# The ingress says how clients came to it.
map $http_x_forwarded_proto $geo_scheme {
    default https;
    http    http;
}
`;

/** What is taken from the file, and what stands in its place; each must be there. */
const CHANGES = [
  [/^(?:#[^\n]*\n)+/, HEAD],
  [/\n {4}listen 443 ssl http2;\n {4}listen \[::\]:443 ssl http2;\n/, '\n    listen 8080;\n'],
  [
    / {4}server_name registry\.secondary\.example\.com;\n\n {4}ssl_certificate[\s\S]*? {4}server_tokens/,
    '    server_tokens',
  ],
  [/\nserver \{\n {4}listen 80;[\s\S]*$/, ''],
  [/server registry\.primary\.example\.com:443;/, 'server {{ include "proxy.primaryAddress" . }};'],
  [/default registry\.primary\.example\.com;/, 'default {{ include "proxy.primaryHost" . }};'],
  [/registry\\\.primary\\\.example\\\.com/g, '{{ include "proxy.primaryName" . | replace "." "\\\\." }}'],
  [/https:\/\/geo_primary/g, '{{ include "proxy.primaryUpstream" . }}'],
  [/\/etc\/ssl\/certs\/ca-certificates\.crt/g, '{{ include "proxy.primaryAuthorities" . }}'],
  [/\$scheme/g, '$geo_scheme'],
];

/** The chart's file, of the text of nginx/unified-url.conf. @throws Error where something is not in it any more */
export function chartNginx(text) {
  return CHANGES.reduce((whole, [wanted, by]) => {
    const changed = whole.replace(wanted, () => by);
    if (changed === whole) throw new Error(`nginx/unified-url.conf holds no ${String(wanted)}`);
    return changed;
  }, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(target, chartNginx(readFileSync(source, 'utf8')));
