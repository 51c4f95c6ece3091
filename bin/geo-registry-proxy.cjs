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

// Chunks of blobs lie outside the heap and are freed when the young generation is collected. Left to grow, it is
// collected so rarely under streams that hundreds of MiB of dead chunks wait (npm run bench, memory: 230 MiB, with this
// 130). The flag works at run time, unlike --max-semi-space-size, so that every way of starting has it.
require('v8').setFlagsFromString('--semi-space-growth-factor=1');

// What is under way when a young generation that small is collected goes over to the old one, and dies there. V8 lets
// that grow to four times what is alive before it looks: 290 MiB in all under 32 connections that pull manifests, with
// half as much again 175, at no processor time that could be measured (npm run bench, manifests).
require('v8').setFlagsFromString('--heap-growing-percent=50');

// A checkout runs its sources, which Node reads as they are: a dist/ of an earlier build beside them would be a trap.
// What is shipped holds dist/ alone; and below node_modules Node refuses to strip types, whatever lies there.
var root = path.join(__dirname, '..');
var source = path.join(root, 'src', 'cli.ts');
var isInstalled = root.split(path.sep).indexOf('node_modules') >= 0;
var cli = !isInstalled && fs.existsSync(source) ? source : path.join(root, 'dist', 'cli.js');

require(cli).runCli(process.argv.slice(2));
