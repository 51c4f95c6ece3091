// A configuration that is right, on which each test changes what it is about.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ConfigError, inspectConfig } from '../../src/config/config.ts';

/** A temporary directory that goes with the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'geo-config-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** A file with the given content in a directory of its own. */
export function temporaryFile(content: string): string {
  const path = join(temporaryDirectory(), 'file');
  writeFileSync(path, content);
  return path;
}

/** The least that a real site sets. */
export function environment(): NodeJS.ProcessEnv {
  const directory = temporaryDirectory();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(directory, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return {
    GEO_PRIMARY_URL: 'https://registry.example.com:5050',
    GEO_SECONDARY_URL: 'http://127.0.0.1:5000',
    GEO_KEY_FILE: join(directory, 'key.pem'),
    GEO_TOKEN_REALM: 'https://gitlab.example.com/jwt/auth',
    GEO_DATA_DIR: join(directory, 'data'),
  };
}

/** The lines that refuse an environment. */
export function problems(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    inspectConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
