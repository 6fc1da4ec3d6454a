// SPDX-License-Identifier: Apache-2.0
'use strict';
// PouchDB: puts rows into a local database (LevelDB), then replicates them to a server, in its batches
// of 100 as shipped.

const https = require('https');
const path = require('path');
const { loader, main, measured, readOptions, readRows } = require('./client');

const PUT_AT_ONCE = 1000;

function documents(rows) {
  return rows.map(({ id, ...values }) => ({ _id: id, ...values }));
}

async function record(database, rows) {
  const all = documents(rows);
  for (let at = 0; at < all.length; at += PUT_AT_ONCE) {
    const refused = (await database.bulkDocs(all.slice(at, at + PUT_AT_ONCE))).filter((one) => one.error);
    if (refused.length) throw new Error(`not put: ${JSON.stringify(refused[0])}`);
  }
}

// Kept connections: without an agent its fetch() asks for a new one a request.
function server(PouchDB, options) {
  const agent = new https.Agent({ keepAlive: true });
  const fetch = (url, how) => PouchDB.fetch(url, { ...how, agent });
  return new PouchDB(`${options.url}/readings`, { fetch });
}

main(async () => {
  const options = readOptions();
  const PouchDB = loader(options)('pouchdb');
  const rows = readRows(options);
  const database = new PouchDB(path.join(options.folder, 'device'));
  await record(database, rows);
  let pushed;
  const result = await measured(async () => {
    pushed = await database.replicate.to(server(PouchDB, options));
  });
  if (pushed.docs_written !== rows.length) throw new Error(`not all pushed: ${JSON.stringify(pushed)}`);
  return result;
});
