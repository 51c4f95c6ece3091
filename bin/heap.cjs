'use strict';
var fs = require('fs');

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
function startAnew(script, flags) {
  // A parent's channel would not outlive it; and Node's permission model has to allow it.
  if (process.channel || !process.execve || (process.permission && !process.permission.has('child'))) return;
  var argv = [process.execPath].concat(flags, process.execArgv, '--', script, process.argv.slice(2));
  try {
    // Node 24 gives up where the program is gone.
    fs.accessSync(process.execPath, fs.constants.X_OK);
    process.execve(process.execPath, argv, process.env);
  } catch (error) {
    require('util').debuglog('geo-registry-proxy')('cannot start anew: %s', error.message);
  }
}

/** `script` is what is started anew. */
function keepHeap(script) {
  var v8 = require('v8');
  var missing = AT_START.filter(isUnchosen);
  if (missing.length > 0) startAnew(script, missing);
  LATER.filter(isUnchosen).forEach(function (flag) {
    v8.setFlagsFromString(flag);
  });
  // Where it could not start anew: a young generation that stays small costs processor time, and no memory.
  if (missing.indexOf(AT_START[0]) >= 0) v8.setFlagsFromString('--semi-space-growth-factor=1');
}

exports.keepHeap = keepHeap;
exports.AT_START = AT_START;
exports.LATER = LATER;
