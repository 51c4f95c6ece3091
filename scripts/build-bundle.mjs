// Builds dist/geo-registry-proxy.mjs: the whole program in one file, which needs Node and nothing else. What the program reads
// from beside itself elsewhere (the page, the store's threads, nginx/registry.conf, its version) is inside. Beside it lie its
// source map and the licences of what is inside. Run by `npm run build`.
import { isBuiltin } from 'node:module';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildWeb, isWebBuilt } from './build-web.mjs';

const root = resolve(import.meta.dirname, '..');
const read = (...path) => readFileSync(join(root, ...path), 'utf8');

// Libraries that are CommonJS ask for Node's own modules by `require`.
const REQUIRE = `const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);`;

// An `import` of one of Node's own modules makes Node load all that the module could ever give, before anything of ours runs:
// that of node:http a whole HTTP client. This way they come when they are asked for, and none before the heap's flags are set.
// What libraries ask for at their start, and use in ways that are not ours.
const RARE = new Set(['node:http2', 'http2']);
const builtins = {
  name: 'builtins',
  setup(build) {
    build.onResolve({ filter: /^(?:node:)?[a-z][a-z0-9_/]*$/ }, ({ path, kind }) =>
      kind !== 'entry-point' && (path.startsWith('node:') || isBuiltin(path))
        ? { path, namespace: 'builtin' }
        : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: RARE.has(path)
        ? `module.exports = new Proxy({}, { get: (_, name) => process.getBuiltinModule(${JSON.stringify(path)})[name] });`
        : `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      loader: 'js',
    }));
  },
};
const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  charset: 'ascii',
  logLevel: 'warning',
};

const ENTRY = `
import { runCli } from './src/cli.ts';
void runCli(process.argv.slice(2));
`;

// The file as Node reads it: a few lines, and the program in a comment, which is read over quicker than anything else. A server
// starts Node anew for the heap's flags, and the process that does only that has no need to compile the program first; nor should
// either of them take it in as a string before.
const PROGRAM = { begin: '\n/* The program:\n', end: '\n*/\n' };
// In the place of what would end the comment.
const COMMENT_END = { escaped: '*~/', plain: '*/' };
const START = `
import { keepHeap } from './bin/heap.cjs';
const { readFileSync } = process.getBuiltinModule('node:fs');
const { fileURLToPath } = process.getBuiltinModule('node:url');
const { Module } = process.getBuiltinModule('node:module');
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error('geo-registry-proxy needs Node.js 24 or newer; this is ' + process.versions.node);
  process.exit(1);
}
const filename = fileURLToPath(import.meta.url);
if (process.argv.indexOf('serve') >= 2) keepHeap(filename);
// All of it is ASCII.
const text = readFileSync(filename, 'latin1');
const program = text
  .slice(text.lastIndexOf(BEGIN) + BEGIN.length, text.lastIndexOf(END))
  .replaceAll(ESCAPED, PLAIN);
// As Node compiles a CommonJS file: so that --enable-source-maps finds the map.
new Module(filename)._compile(program, filename, 'commonjs');
`;

/** The program's text as it stands in the file. */
function asComment(text) {
  const { begin, end } = PROGRAM;
  const { escaped, plain } = COMMENT_END;
  if (text.includes(escaped))
    throw new Error(`the program holds ${escaped}: choose another text for the end of a comment`);
  return `${begin}${text.replaceAll(plain, escaped)}${end}`;
}

async function threadProgram(build) {
  const { outputFiles } = await build({
    ...common,
    entryPoints: [join(root, 'src/replication/store/sqlite/worker.ts')],
    banner: { js: REQUIRE.replace('import.meta.url', JSON.stringify('file:///')) },
    plugins: [builtins],
    minify: true,
    write: false,
  });
  return outputFiles[0].contents;
}

function pageEntries() {
  const folder = join(root, 'dist/web');
  const entry = (name) => [name, readFileSync(join(folder, name)).toString('base64')];
  return JSON.stringify(readdirSync(folder).map(entry));
}

/** What stands in the place of the files that read from beside themselves. */
async function replacements(build) {
  const { version } = JSON.parse(read('package.json'));
  const thread = Buffer.from(await threadProgram(build)).toString('base64');
  return {
    'src/status/version.ts': `export const programVersion = () => ${JSON.stringify(version)};`,
    'src/init/template.ts': `
      export const siteTemplate = () => ${JSON.stringify(read('nginx/registry.conf'))};
      export const omnibusTemplate = () => ${JSON.stringify(read('deploy/omnibus/gitlab.rb'))};`,
    'src/replication/store/sqlite/thread-file.ts': `export const threadFile = new URL('data:text/javascript;base64,${thread}');`,
    'src/status/page-files.ts': `
      const entries = ${pageEntries()};
      export const readPage = () => new Map(entries.map(([name, text]) => [name, Buffer.from(text, 'base64')]));`,
  };
}

function replacing(texts) {
  return {
    name: 'replacing',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = texts[relative(root, path)];
        return contents === undefined ? undefined : { contents, loader: 'js' };
      });
    },
  };
}

/** The licence of each package that is inside, by its folder in node_modules. */
function licences(inputs) {
  const folders = Object.keys(inputs).map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const packages = [...new Set(folders.filter(Boolean))].toSorted();
  const texts = packages.map((folder) => {
    const { name, version, license } = JSON.parse(read(folder, 'package.json'));
    const file = readdirSync(join(root, folder)).find((one) => /^(?:licen[cs]e|copying)(?:\.|$)/i.test(one));
    return `${name} ${version} (${license})\n\n${file ? read(folder, file).trim() : 'It comes without a text of its licence.'}`;
  });
  return `geo-registry-proxy\n\n${read('LICENSE').trim()}\n\n${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/** Builds the bundle into a folder, dist unless told; answers the program by itself, as CommonJS. */
export async function buildBundle(folder = join(root, 'dist')) {
  if (!isWebBuilt()) await buildWeb();
  const { build } = await import('esbuild');
  const { metafile, outputFiles } = await build({
    ...common,
    format: 'cjs',
    stdin: { contents: ENTRY, resolveDir: root, sourcefile: 'entry.ts', loader: 'ts' },
    outfile: join(folder, 'geo-registry-proxy.mjs'),
    banner: { js: `const __programUrl = process.getBuiltinModule('node:url').pathToFileURL(__filename).href;` },
    define: { 'import.meta.url': '__programUrl' },
    plugins: [builtins, replacing(await replacements(build))],
    minify: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    write: false,
  });
  const [map, program] = outputFiles.toSorted((one, other) => one.path.length - other.path.length).toReversed();
  await build({
    ...common,
    stdin: { contents: START, resolveDir: root, sourcefile: 'start.js', loader: 'js' },
    define: {
      BEGIN: JSON.stringify(PROGRAM.begin),
      END: JSON.stringify(PROGRAM.end),
      ESCAPED: JSON.stringify(COMMENT_END.escaped),
      PLAIN: JSON.stringify(COMMENT_END.plain),
    },
    banner: { js: '#!/usr/bin/env node' },
    footer: { js: asComment(program.text) },
    plugins: [builtins],
    minify: true,
    legalComments: 'none',
    outfile: join(folder, 'geo-registry-proxy.mjs'),
  });
  writeFileSync(map.path, map.contents);
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'geo-registry-proxy.licences.txt'), licences(metafile.inputs));
  return program.text;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await buildBundle(process.argv[2]);
