// Key pairs and certificates, made with openssl as an administrator would.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow, tempDir, toolPath } from './tool.ts';

export interface KeyOptions {
  readonly kind?: 'rsa' | 'ec';
  /** Of an RSA key: 2048 when absent, which is quick to make. */
  readonly bits?: number;
  /** Names and addresses that the certificate is valid for; needed for TLS only. */
  readonly hosts?: readonly string[];
}

export interface SiteKeys {
  readonly dir: string;
  /** The private key, PEM (PKCS #8). */
  readonly keyFile: string;
  /** The self-signed certificate, PEM: a registry's `rootcertbundle`, or a TLS server's certificate and its authority. */
  readonly certFile: string;
  readonly privateKey: KeyObject;
  readonly certPem: string;
  remove(): Promise<void>;
}

function subjectAlternativeNames(hosts: readonly string[]): string[] {
  if (hosts.length === 0) return [];
  const names = hosts.map((host) => `${/^[\d.]+$/.test(host) ? 'IP' : 'DNS'}:${host}`);
  return ['-addext', `subjectAltName=${names.join(',')}`];
}

/** A key and its self-signed certificate: what the sites share as `gitlab-registry.key` and `gitlab-registry.crt`. */
export async function createSiteKeys(options: KeyOptions = {}): Promise<SiteKeys> {
  const { kind = 'rsa', bits = 2048, hosts = [] } = options;
  const { path: dir, remove } = await tempDir();
  const [keyFile, certFile] = [join(dir, 'registry.key'), join(dir, 'registry.crt')];
  const algorithm = kind === 'rsa' ? [`rsa:${bits}`] : ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const output = ['-nodes', '-keyout', keyFile, '-out', certFile, '-days', '365', '-subj', '/CN=registry'];
  const names = subjectAlternativeNames(hosts);
  await runOrThrow(toolPath('openssl'), ['req', '-x509', '-newkey', ...algorithm, ...output, ...names]);
  const certPem = await readFile(certFile, 'utf8');
  const privateKey = createPrivateKey(await readFile(keyFile));
  return { dir, keyFile, certFile, privateKey, certPem, remove };
}
