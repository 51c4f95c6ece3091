#!/usr/bin/env node
'use strict';
// Plain ES5, so that a Node that is too old can read this file far enough to say so.
var fs = require('fs');
var path = require('path');

var version = process.versions.node;

if (parseInt(version, 10) < 24) {
  console.error('geo-registry-proxy needs Node.js 24 or newer; this is ' + version);
  process.exit(1);
}

// Commands that ask and end gain nothing by it.
if (process.argv.indexOf('serve') >= 2) require('./heap.cjs').keepHeap(__filename);

// A checkout runs its sources, which Node reads as they are: a dist/ of an earlier build beside them would be a trap.
// What is shipped holds dist/ alone, as files or as the bundle; and below node_modules Node refuses to strip types, whatever
// lies there.
var root = path.join(__dirname, '..');
var source = path.join(root, 'src', 'cli.ts');
var bundle = path.join(root, 'dist', 'geo-registry-proxy.mjs');
var built = path.join(root, 'dist', 'cli.js');
var isInstalled = root.split(path.sep).indexOf('node_modules') >= 0;
var cli =
  !isInstalled && fs.existsSync(source) ? source : fs.existsSync(bundle) && !fs.existsSync(built) ? bundle : built;

/** One line where a library is missing, and what installs it; every other error is thrown on. */
function tellMissing(error) {
  var found = /^Cannot find (?:package|module) '([^']+)'/.exec((error && error.message) || '');
  if (!found || (error.code !== 'ERR_MODULE_NOT_FOUND' && error.code !== 'MODULE_NOT_FOUND')) throw error;
  var what = cli === source ? 'npm run setup' : 'npm ci --omit=dev';
  var missing = path.isAbsolute(found[1]) ? path.relative(root, found[1]) : found[1];
  console.error('geo-registry-proxy: ' + missing + ' is not installed; run ' + what + ' in ' + root);
  process.exit(1);
}

try {
  // The bundle runs by itself.
  if (cli === bundle) require(bundle);
  else Promise.resolve(require(cli).runCli(process.argv.slice(2))).catch(tellMissing);
} catch (error) {
  tellMissing(error);
}
