// SPDX-License-Identifier: Apache-2.0
'use strict';
// What the drivers of both clients share: options, rows, and the measurement of a push.

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const { parseArgs } = require('util');

function readOptions(more = {}) {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: { modules: text, rows: text, folder: text, url: text, ...more },
  });
  for (const name of ['modules', 'rows', 'folder', 'url']) {
    if (!values[name]) throw new Error(`--${name} is missing`);
  }
  return values;
}

function loader(options) {
  return createRequire(path.join(path.resolve(options.modules), 'index.js'));
}

function readRows(options) {
  return fs.readFileSync(options.rows, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

// Wall and CPU seconds of the push alone: neither node's start nor the recording of the rows.
async function measured(push) {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  await push();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const used = process.cpuUsage(cpu);
  return { seconds, cpu: (used.user + used.system) / 1e6 };
}

function main(work) {
  process.noDeprecation = true;
  work().then((result) => {
    console.log(JSON.stringify(result));
    process.exit(0);
  }, (error) => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = { loader, main, measured, readOptions, readRows };
