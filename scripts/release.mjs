// Makes what a release consists of, in dist/release: the program in one file with its licences and source map, the same with Node
// inside, and the packages of npm and of Debian (both for this machine's architecture), a bill of materials (CycloneDX), and the checksums of all. Run by
// `npm run release`.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildBundle } from './build-bundle.mjs';
import { buildDeb } from './build-deb.mjs';
import { buildExecutable } from './build-executable.mjs';

const root = resolve(import.meta.dirname, '..');

/**
 * What stands in the way of a release, a line each: its version has a section of its own in CHANGELOG.md, with a date, and
 * nothing is left under Unreleased.
 */
export function troublesOf(version, changelog) {
  const [, unreleased = '', rest = ''] = /^## \[Unreleased\]\n([^]*?)(?=^## \[|$(?![^]))([^]*)/m.exec(changelog) ?? [];
  const heading = new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d{2}-\\d{2}$`, 'm');
  return [
    ...(heading.test(rest)
      ? []
      : [`CHANGELOG.md: no section "## [${version}] - <date>" for the version of package.json`]),
    ...(unreleased.trim() === '' ? [] : ['CHANGELOG.md: Unreleased is not empty; move it under the version']),
  ];
}

const npm = (args, options = {}) => execFileSync('npm', args, { cwd: root, encoding: 'utf8', ...options });

function checksums(folder) {
  const names = readdirSync(folder).toSorted();
  const line = (name) =>
    `${createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex')}  ${name}\n`;
  return names.map(line).join('');
}

/** Makes all files of a release in a folder. */
export async function makeRelease(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const program = await buildBundle(join(root, 'dist'));
  for (const name of readdirSync(join(root, 'dist')).filter((one) => one.startsWith('geo-registry-proxy.')))
    cpSync(join(root, 'dist', name), join(folder, name));
  npm(['pack', '--silent', '--ignore-scripts', '--pack-destination', folder]);
  await buildDeb({ folder });
  const executable = join(folder, `geo-registry-proxy-linux-${process.arch}`);
  buildExecutable(program, executable);
  writeFileSync(`${executable}.gz`, gzipSync(readFileSync(executable)));
  rmSync(executable);
  const sbom = npm(['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev'], { maxBuffer: 64 * 1024 * 1024 });
  writeFileSync(join(folder, 'geo-registry-proxy.cdx.json'), sbom);
  writeFileSync(join(folder, 'SHA256SUMS'), checksums(folder));
}

async function main() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const troubles = troublesOf(version, readFileSync(join(root, 'CHANGELOG.md'), 'utf8'));
  const isTrial = process.argv.includes('--trial');
  for (const trouble of troubles) console.error(trouble);
  if (troubles.length > 0 && !isTrial) {
    console.error('nothing was made; --trial makes the files all the same');
    process.exit(1);
  }
  const folder = join(root, 'dist/release');
  await makeRelease(folder);
  process.stdout.write(`${folder}\n${readFileSync(join(folder, 'SHA256SUMS'), 'utf8')}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
