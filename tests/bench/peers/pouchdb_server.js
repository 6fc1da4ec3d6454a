// SPDX-License-Identifier: Apache-2.0
'use strict';
// express-pouchdb over HTTPS on loopback, with the databases in a folder (LevelDB).

const fs = require('fs');
const https = require('https');
const path = require('path');
const { createRequire } = require('module');
const { parseArgs } = require('util');

const HOST = '127.0.0.1';

function main() {
  const text = { type: 'string' };
  const { values: options } = parseArgs({
    options: { modules: text, data: text, cert: text, key: text, port: { type: 'string', default: '0' } },
  });
  process.noDeprecation = true;
  process.on('SIGTERM', () => process.exit(0));
  const load = createRequire(path.join(path.resolve(options.modules), 'index.js'));
  const PouchDB = load('pouchdb').defaults({ prefix: path.resolve(options.data) + path.sep });
  const app = load('express')();
  // What replication needs, and nothing written beside the databases.
  app.use(load('express-pouchdb')(PouchDB, { mode: 'minimumForPouchDB', inMemoryConfig: true }));
  const tls = { cert: fs.readFileSync(options.cert), key: fs.readFileSync(options.key) };
  const server = https.createServer(tls, app);
  server.listen(Number(options.port), HOST, () => {
    console.log(`listening https://${HOST}:${server.address().port}`);
  });
}

main();
