// The texts of a site's files: the unit of docs/operating.md, the site of nginx/registry.conf, and proxy.env.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseEnv } from 'node:util';
import { expect, test } from 'vitest';
import type { Answers } from '../../src/init/answers.ts';
import { nextLines } from '../../src/cli/init-report.ts';
import { proxyEnv, publicUrlIn } from '../../src/init/proxy-env.ts';
import { FILES, nextCommands } from '../../src/init/plan.ts';
import { nginxSite, omnibusSite, tlsFilesIn } from '../../src/init/site.ts';
import { omnibusTemplate, siteTemplate } from '../../src/init/template.ts';
import { isSeenByUnit, systemdUnit } from '../../src/init/unit.ts';
import type { Facts } from '../../src/init/facts.ts';

const documented = readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8');

const unitOptions = {
  node: '/usr/bin/node',
  program: '/opt/geo-registry-proxy/geo-registry-proxy.mjs',
  envFile: '/etc/geo-registry-proxy/proxy.env',
  dataDir: '/var/lib/geo-registry-proxy',
};

test('the unit is the one of docs/operating.md, where nothing is another', () => {
  expect(documented).toContain(`\`\`\`ini\n${systemdUnit(unitOptions)}\`\`\`\n`);
});

test('the unit and the image have the heap settings for which a server would start Node anew', () => {
  const { AT_START } = createRequire(import.meta.url)('../../bin/heap.cjs') as { AT_START: string[] };
  expect(systemdUnit(unitOptions)).toContain(`\nEnvironment="NODE_OPTIONS=${AT_START.join(' ')}"\n`);
  const dockerfile = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
  expect(dockerfile).toContain(`\nENTRYPOINT ["node", ${AT_START.map((flag) => `"${flag}"`).join(', ')}, `);
});

test.each([
  ['/opt/geo-registry-proxy/geo-registry-proxy.mjs', true],
  ['/home/me/geo-registry-proxy/bin/geo-registry-proxy.cjs', false],
  ['/root/key', false],
  ['/tmp/key', false],
  ['/rooted/key', true],
])('a unit without home directories sees %s: %s', (file, isSeen) => {
  expect(isSeenByUnit(file)).toBe(isSeen);
});

const siteOptions = {
  publicUrl: new URL('https://registry.here.example.com'),
  certificate: '/etc/ssl/here.pem',
  key: '/etc/ssl/here.key',
  upstream: { host: '::', port: 6080 },
};

test('the site is nginx/registry.conf but for names, certificate and address', () => {
  const template = siteTemplate();
  const site = nginxSite(template, siteOptions);
  const changed = site.split('\n').filter((line) => !template.includes(line));
  expect(new Set(changed.map((line) => line.trim()))).toEqual(
    new Set([
      '# Written by geo-registry-proxy init for https://registry.here.example.com',
      'server 127.0.0.1:6080;',
      'server_name registry.here.example.com;',
      'ssl_certificate     /etc/ssl/here.pem;',
      'ssl_certificate_key /etc/ssl/here.key;',
    ]),
  );
  expect(tlsFilesIn(site)).toEqual({ certificate: '/etc/ssl/here.pem', key: '/etc/ssl/here.key' });
});

test('a site on another port, and what cannot stand in one', () => {
  const template = siteTemplate();
  const site = nginxSite(template, { ...siteOptions, publicUrl: new URL('https://registry.here.example.com:5050') });
  expect(site.match(/^ *listen .*$/gm)).toEqual([
    '    listen 5050 ssl http2;',
    '    listen [::]:5050 ssl http2;',
    '    listen 80;',
    '    listen [::]:80;',
  ]);
  expect(site).toContain('return 301 https://$server_name:5050$request_uri;');
  expect(() => nginxSite(template, { ...siteOptions, key: '/etc/a key; include x' })).toThrow('choose another path');
  expect(() => nginxSite('server {}', siteOptions)).toThrow('it is of another version');
});

test('the block for an Omnibus is deploy/omnibus/gitlab.rb but for the address, and has commands of its own', () => {
  const template = omnibusTemplate();
  const text = omnibusSite(template, siteOptions.upstream);
  expect(text.split('\n').filter((line) => !template.includes(line))).toEqual([
    '    proxy_pass http://127.0.0.1:6080;',
  ]);
  expect(() => omnibusSite('registry', siteOptions.upstream)).toThrow('deploy/omnibus/gitlab.rb holds no');
  const block = { name: FILES.omnibusSite, text, mode: 0o644 };
  const site = { name: FILES.site, text: '', mode: 0o644 };
  expect(nextCommands('/out', [site, block]).at(-1)).toBe(
    'cat /out/gitlab.rb >> /etc/gitlab/gitlab.rb && gitlab-ctl reconfigure',
  );
  expect(nextCommands('/out', [site]).at(-1)).toContain('/etc/nginx/conf.d/');
});

const facts: Facts = {
  kind: { id: 'distribution', label: 'Distribution 2' },
  repositories: [],
  deletes: { kind: 'off' },
  storage: { kind: 'redirect', host: 's3.example.com' },
};

const answers: Answers = {
  primaryUrl: new URL('https://primary.example.com:5050'),
  secondaryUrl: new URL('http://127.0.0.1:5000'),
  publicUrl: new URL('https://registry.here.example.com'),
  siteName: 'here',
  dataDir: '/var/lib/geo-registry-proxy',
  primaryAuth: 'key',
  secondaryAuth: 'docker-config',
  clientAuth: 'token',
  keyFile: '/etc/geo-registry-proxy/a key',
  realm: 'https://gitlab.example.com/jwt/auth',
  settings: { tokenIssuer: 'gitlab-issuer', tokenService: 'container_registry', tokenKeyId: 'libtrust' },
  replication: true,
  tlsCertificate: siteOptions.certificate,
  tlsKey: siteOptions.key,
  primary: facts,
  secondary: facts,
};

test('proxy.env says of a secondary that it redirects, and that it deletes nothing', () => {
  const text = proxyEnv(answers, { GEO_SPOOL_MAX: '1GiB', GEO_PRIMARY_AUTH: 'none' }, 'the secret');
  expect(parseEnv(text)).toMatchObject({
    GEO_PRIMARY_AUTH: 'key',
    GEO_KEY_FILE: '/etc/geo-registry-proxy/a key',
    GEO_SECONDARY_REDIRECT: 'pass',
    GEO_SPOOL_MAX: '1GiB',
    GEO_EVENTS_TOKEN: 'the secret',
  });
  expect(text).toMatch(/# .*redirects to s3\.example\.com.*\nGEO_SECONDARY_REDIRECT=/);
  expect(text).toMatch(/# .*deletes nothing now: set storage\.delete\.enabled\.\nGEO_REPLICATION=on/);
  expect(publicUrlIn(text)).toBe('https://registry.here.example.com');
  expect(proxyEnv(answers, { GEO_SECONDARY_REDIRECT: 'stream' }, undefined)).toContain('GEO_SECONDARY_REDIRECT=stream');
  expect(proxyEnv(answers, { GEO_EVENTS_TOKEN_FILE: '/secret' }, undefined)).not.toContain('GEO_EVENTS_TOKEN=');
});

test('a value that no file of variables can hold is refused by its name', () => {
  expect(() => proxyEnv({ ...answers, siteName: `a'"b` }, {}, 'x')).toThrow(/^GEO_SITE_NAME: its value cannot be/);
  expect(() => proxyEnv(answers, { GEO_ADMIN_TOKEN: `a'$b` }, 'x')).toThrow(/^GEO_ADMIN_TOKEN: /);
});

function next(...names: string[]): string {
  const files = names.map((name) => ({ name, text: '', mode: 0o644 }));
  return nextLines('/out', answers, { files, program: '/p' }).join('\n');
}

test('what is next names a certificate that is not there, but on an Omnibus, which has its own', () => {
  expect(next(FILES.site)).toContain(
    'Before the third, put the certificate in /etc/ssl/here.pem and its key in /etc/ssl/here.key',
  );
  expect(next(FILES.site, FILES.omnibusSite)).not.toContain('Before the third');
});
