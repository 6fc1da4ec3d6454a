// SPDX-License-Identifier: Apache-2.0
'use strict';
// Finds the published packages: in the folder that `setup` printed, or asks it.

const { execFileSync } = require('child_process');
const { createRequire } = require('module');
const path = require('path');

function modulesFolder(given) {
  if (given) return path.resolve(given);
  const stdio = ['ignore', 'pipe', 'inherit'];
  return execFileSync(path.join(__dirname, 'setup'), { encoding: 'utf8', stdio }).trim();
}

function loadModules(folder) {
  const load = createRequire(path.join(modulesFolder(folder), 'index.js'));
  return { coap: load('coap'), packets: load('coap-packet') };
}

module.exports = { loadModules, modulesFolder };
