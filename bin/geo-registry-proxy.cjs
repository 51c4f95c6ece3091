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

// How the server's heap is kept (npm run bench: manifests, memory, blobs). A person's own choice stands.
//
// V8 hears these at its start alone, so that the server starts Node anew in its own place, where it can: a young generation
// in which what a request needs dies before it is collected (V8's own grows to more than is of use), and what
// src/lib/chunk-memory.ts collects with.
var AT_START = ['--max-semi-space-size=8', '--expose-gc'];
// And these at any time. V8 lets the old generation grow to four times what is alive before it looks. Freed chunks are to be there for the next ones, not when a busy machine comes to it.
var LATER = ['--heap-growing-percent=50', '--no-concurrent-array-buffer-sweeping'];

function isUnchosen(flag) {
  var name = flag.split('=')[0].replace('--no-', '--');
  var given = process.execArgv.concat((process.env.NODE_OPTIONS || '').replace(/"/g, '').split(' '));
  return !given.some(function (option) {
    return option.split('=')[0].replace(/_/g, '-').replace('--no-', '--') === name;
  });
}

/** Does not come back where it starts anew. */
function startAnew(flags) {
  // A parent's channel would not outlive it; and Node's permission model has to allow it.
  if (process.channel || !process.execve || (process.permission && !process.permission.has('child'))) return;
  var argv = [process.execPath].concat(flags, process.execArgv, '--', __filename, process.argv.slice(2));
  try {
    // Node 24 gives up where the program is gone.
    fs.accessSync(process.execPath, fs.constants.X_OK);
    process.execve(process.execPath, argv, process.env);
  } catch (error) {
    require('util').debuglog('geo-registry-proxy')('cannot start anew: %s', error.message);
  }
}

function keepHeap() {
  var v8 = require('v8');
  var missing = AT_START.filter(isUnchosen);
  if (missing.length > 0) startAnew(missing);
  LATER.filter(isUnchosen).forEach(function (flag) {
    v8.setFlagsFromString(flag);
  });
  // Where it could not start anew: a young generation that stays small costs processor time, and no memory.
  if (missing.indexOf(AT_START[0]) >= 0) v8.setFlagsFromString('--semi-space-growth-factor=1');
}

// Commands that ask and end gain nothing by it.
if (process.argv.indexOf('serve') >= 2) keepHeap();

// A checkout runs its sources, which Node reads as they are: a dist/ of an earlier build beside them would be a trap.
// What is shipped holds dist/ alone; and below node_modules Node refuses to strip types, whatever lies there.
var root = path.join(__dirname, '..');
var source = path.join(root, 'src', 'cli.ts');
var isInstalled = root.split(path.sep).indexOf('node_modules') >= 0;
var cli = !isInstalled && fs.existsSync(source) ? source : path.join(root, 'dist', 'cli.js');

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
  Promise.resolve(require(cli).runCli(process.argv.slice(2))).catch(tellMissing);
} catch (error) {
  tellMissing(error);
}
