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

// How the server's heap is kept (npm run bench: manifests, memory, blobs); what V8 hears at its start alone makes it start
// anew, so that every way of starting has it. A person's own choice stands.
var HEAP = [
  // A young generation in which what a request needs dies before it is collected; at V8's own 32 MiB, 40 MiB more in all.
  '--max-semi-space-size=8',
  // V8 lets the old one grow to four times what is alive before it looks: 100 MiB under pulls of manifests.
  '--heap-growing-percent=50',
  // src/lib/chunk-memory.ts; what it frees is to be there for the next chunk, not when a busy machine comes to it.
  '--expose-gc',
  '--no-concurrent-array-buffer-sweeping',
];

function isChosen(flag) {
  var name = flag.split('=')[0].replace('--no-', '--');
  return process.execArgv.concat((process.env.NODE_OPTIONS || '').split(' ')).some(function (given) {
    return given.split('=')[0].replace(/_/g, '-').replace('--no-', '--') === name;
  });
}

function startAnew() {
  var flags = HEAP.filter(function (flag) {
    return !isChosen(flag);
  });
  // Where that is not allowed (Node's permission model) the server takes more memory, and works.
  var isAllowed = process.execve && (!process.permission || process.permission.has('child'));
  if (flags.length === 0 || !isAllowed) return;
  var argv = [process.execPath].concat(flags, process.execArgv, '--', __filename, process.argv.slice(2));
  process.execve(process.execPath, argv, process.env);
}

// Commands that ask and end gain nothing by it; a parent's channel would not outlive it.
if (process.argv.indexOf('serve') >= 2 && !process.channel) startAnew();

// A checkout runs its sources, which Node reads as they are: a dist/ of an earlier build beside them would be a trap.
// What is shipped holds dist/ alone; and below node_modules Node refuses to strip types, whatever lies there.
var root = path.join(__dirname, '..');
var source = path.join(root, 'src', 'cli.ts');
var isInstalled = root.split(path.sep).indexOf('node_modules') >= 0;
var cli = !isInstalled && fs.existsSync(source) ? source : path.join(root, 'dist', 'cli.js');

require(cli).runCli(process.argv.slice(2));
