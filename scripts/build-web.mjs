// Builds the status page: web/ becomes dist/web, index.html and files whose names carry their hash, with .br and .gz
// beside each. Run by `npm run build`, and by the set-up where the sources are newer than what was built.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = resolve(import.meta.dirname, '..');
const sources = join(root, 'web');
const target = join(root, 'dist/web');
// What the page takes of the program (test/architecture.test.ts).
const shared = join(root, 'src/status/figures.ts');

// What is bundled comes with its licence.
const bundled = ['preact', 'uplot'];

/** What the output depends on beside this file. */
function inputs() {
  const files = readdirSync(sources, { recursive: true, encoding: 'utf8' }).map((name) => join(sources, name));
  return [...files, shared, import.meta.filename, join(root, 'package-lock.json')];
}

/** Whether dist/web is there and newer than all that it is built of. */
export function isWebBuilt() {
  const index = join(target, 'index.html');
  if (!existsSync(index)) return false;
  const builtAt = statSync(index).mtimeMs;
  return inputs().every((file) => statSync(file).mtimeMs < builtAt);
}

function licences() {
  return bundled.map((name) => `${name}\n\n${readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8')}`);
}

async function bundle() {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: { app: join(sources, 'main.tsx') },
    outdir: target,
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['chrome111', 'firefox115', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    write: false,
    logLevel: 'warning',
  });
  return outputFiles.map(({ path, contents }) => ({ name: basename(path), body: Buffer.from(contents) }));
}

function compressed({ name, body }) {
  const best = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  return [
    { name, body },
    { name: `${name}.br`, body: brotliCompressSync(body, best) },
    { name: `${name}.gz`, body: gzipSync(body, { level: 9 }) },
  ];
}

/** Builds dist/web anew, and puts it in the place of the old one when it is complete. */
export async function buildWeb() {
  const files = await bundle();
  const nameOf = (ending) => files.find(({ name }) => name.endsWith(ending)).name;
  const icon = readFileSync(join(sources, 'favicon.svg'));
  const index = readFileSync(join(sources, 'index.html'), 'utf8')
    .replaceAll('/app.js', `/${nameOf('.js')}`)
    .replaceAll('/app.css', `/${nameOf('.css')}`)
    .replaceAll(/\n\s*/g, '\n');
  const all = [
    ...files,
    { name: 'favicon.svg', body: icon },
    { name: 'licences.txt', body: Buffer.from(licences().join('\n\n')) },
    { name: 'index.html', body: Buffer.from(index) },
  ].flatMap(compressed);
  const scratch = `${target}.${createHash('sha256').update(index).digest('hex').slice(0, 8)}-${process.pid}`;
  mkdirSync(scratch, { recursive: true });
  for (const { name, body } of all) writeFileSync(join(scratch, name), body);
  rmSync(target, { recursive: true, force: true });
  try {
    renameSync(scratch, target);
  } catch (error) {
    // Another process has built it meanwhile.
    rmSync(scratch, { recursive: true });
    if (!isWebBuilt()) throw error;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const isNeeded = !process.argv.includes('--if-stale') || !isWebBuilt();
  if (isNeeded) await buildWeb();
}
