// SPDX-License-Identifier: Apache-2.0
'use strict';
// azure-mobile-apps-client: inserts rows into its local store, then pushes them, one a request.

const path = require('path');
const { loader, main, measured, readOptions, readRows } = require('./client');
const { sqlitePlugin, useFastTimers, xmlHttpRequest } = require('./cordova');

const COLUMNS = {
  id: 'string', sensor: 'string', value: 'real', ts: 'integer', quality: 'integer',
  createdAt: 'date', updatedAt: 'date', version: 'string', deleted: 'boolean',
};

// The client finds out where it runs when it is loaded.
function becomeCordova(load, options) {
  global.window = global;
  global.cordova = { version: '0' };
  global.XMLHttpRequest = xmlHttpRequest();
  global.sqlitePlugin = sqlitePlugin(load('better-sqlite3'), path.join(options.folder, 'device.db'));
  if (options['fast-timers']) useFastTimers();
  return load('azure-mobile-apps-client');
}

main(async () => {
  const options = readOptions({ 'fast-timers': { type: 'boolean' } });
  const azure = becomeCordova(loader(options), options);
  const client = new azure.MobileServiceClient(options.url);
  const store = new azure.MobileServiceSqliteStore('device.db');
  await store.defineTable({ name: 'readings', columnDefinitions: COLUMNS });
  await client.getSyncContext().initialize(store);
  const table = client.getSyncTable('readings');
  for (const row of readRows(options)) await table.insert(row);
  let conflicts;
  const result = await measured(async () => {
    conflicts = await client.getSyncContext().push();
  });
  if (conflicts.length) throw new Error(`${conflicts.length} rows were refused`);
  return result;
});
