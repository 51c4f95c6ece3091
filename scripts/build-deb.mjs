// Makes dist/geo-registry-proxy_<version>_<architecture>.deb: the program in one file with a Node of its own, its unit, its
// variables, man page and completion. Run by `npm run deb`, after which nothing but dpkg is needed.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildBundle } from './build-bundle.mjs';

const root = resolve(import.meta.dirname, '..');
const name = 'geo-registry-proxy';
const home = `opt/${name}`;

/** Debian's names of Node's architectures. */
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

// "--": Node looks for options of its own even after a script.
const WRAPPER = `#!/bin/sh\nexec /${home}/node -- /${home}/${name}.mjs "$@"\n`;

function put(path, content, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

function copy(from, to, mode = 0o644) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
  chmodSync(to, mode);
}

/** What the program prints when it is asked. */
function printed(bundle, ...args) {
  return execFileSync(process.execPath, ['--', bundle, ...args], { encoding: 'utf8' });
}

/** The licence of Node.js: the package `node` brings its executable in one of the architecture's own. */
function nodeLicence() {
  const own = `node-linux-${process.arch}/LICENSE`;
  const folders = ['node_modules/node/node_modules', 'node_modules'].map((folder) => join(root, folder, own));
  return readFileSync(folders.find(existsSync) ?? folders[0], 'utf8');
}

function fill(tree, node, built) {
  const at = (path) => join(tree, path);
  const bundle = join(built, `${name}.mjs`);
  copy(node, at(`${home}/node`), 0o755);
  copy(bundle, at(`${home}/${name}.mjs`));
  put(at(`usr/bin/${name}`), WRAPPER, 0o755);
  copy(join(root, 'deploy/systemd', `${name}.service`), at(`lib/systemd/system/${name}.service`));
  copy(join(root, 'deploy/systemd/proxy.env.example'), at(`etc/${name}/proxy.env`), 0o640);
  chmodSync(at(`etc/${name}`), 0o750);
  put(at(`usr/share/man/man1/${name}.1.gz`), gzipSync(printed(bundle, 'man'), { level: 9 }));
  put(at(`usr/share/bash-completion/completions/${name}`), printed(bundle, 'completion', 'bash'));
  put(at(`usr/share/zsh/vendor-completions/_${name}`), printed(bundle, 'completion', 'zsh'));
  put(at(`usr/share/fish/vendor_completions.d/${name}.fish`), printed(bundle, 'completion', 'fish'));
  const documents = `usr/share/doc/${name}`;
  const licences = readFileSync(join(built, `${name}.licences.txt`), 'utf8');
  put(at(`${documents}/copyright`), `${licences}\n${'-'.repeat(80)}\n\n${nodeLicence()}`);
  put(at(`${documents}/changelog.gz`), gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 }));
  for (const file of readdirSync(join(root, 'nginx')))
    copy(join(root, 'nginx', file), at(`${documents}/examples/nginx/${file}`));
  copy(join(root, 'deploy/systemd/no-key.conf'), at(`${documents}/examples/no-key.conf`));
  copy(join(root, 'deploy/omnibus/gitlab.rb'), at(`${documents}/examples/gitlab.rb`));
}

function kibibytes(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const size = files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
  return Math.ceil(size / 1024);
}

function control(tree, version, architecture) {
  const template = readFileSync(join(root, 'deploy/debian/control'), 'utf8');
  const values = { VERSION: version, ARCHITECTURE: architecture, SIZE: String(kibibytes(tree)) };
  put(
    join(tree, 'DEBIAN/control'),
    template.replace(/@(\w+)@/g, (_all, key) => values[key]),
  );
  put(join(tree, 'DEBIAN/conffiles'), `/etc/${name}/proxy.env\n`);
  for (const script of ['postinst', 'prerm', 'postrm'])
    copy(join(root, 'deploy/debian', script), join(tree, 'DEBIAN', script), 0o755);
}

/**
 * Makes the package in `folder`, and gives its path. `node`: the executable that goes into it, by default that of the
 * project; for another architecture one of that, by name (`x64`, `arm64`).
 */
export async function buildDeb({ folder = join(root, 'dist'), node, arch = process.arch, version } = {}) {
  const architecture = ARCHITECTURES[arch];
  if (architecture === undefined) throw new Error(`no Debian architecture is known for ${arch}`);
  const scratch = mkdtempSync(join(tmpdir(), `${name}-deb-`));
  try {
    const [tree, built] = [join(scratch, 'tree'), join(scratch, 'built')];
    mkdirSync(tree, { mode: 0o755 });
    const told = version ?? JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
    await buildBundle(built);
    fill(tree, node ?? join(root, 'node_modules/node/bin/node'), built);
    control(tree, told, architecture);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${name}_${told}_${architecture}.deb`);
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z9', '--build', tree, file], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return file;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [node, arch] = process.argv.slice(2);
  console.log(await buildDeb({ ...(node && { node }), ...(arch && { arch }) }));
}
