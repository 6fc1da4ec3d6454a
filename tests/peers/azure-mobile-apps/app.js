'use strict';
// Builds the Express app around the published azure-mobile-apps package.

const path = require('path');
const { createRequire } = require('module');

// Not every table needs declared columns: the others grow them from the rows.
const READINGS = { sensor: 'string', value: 'number', ts: 'number', quality: 'number' };

// The dependencies are looked up from inside the package: whatever Express is
// beside it, it must get its own Express 4. Under Express 5 req.query has no
// prototype and every full page is answered with 500.
function load(modules) {
  const fromModules = createRequire(path.join(modules, 'index.js'));
  const entry = fromModules.resolve('azure-mobile-apps');
  const fromPackage = createRequire(entry);
  return {
    mobileApps: fromPackage(entry),
    express: fromPackage('express'),
    winston: fromPackage('winston'),
    sqlite3: fromModules('sqlite3'),
  };
}

// Standard output belongs to the two lines that a test reads.
function logToStandardError(packages) {
  const levels = ['error', 'warn', 'info', 'verbose', 'debug', 'silly'];
  packages.mobileApps.logger.configure({
    level: 'error',
    transports: [new packages.winston.transports.Console({ stderrLevels: levels })],
  });
}

function tableDefinition(columns, pageSize) {
  return { softDelete: true, dynamicSchema: true, autoIncrement: false, columns, pageSize };
}

// A test may kill this process, never the machine: what the kernel holds is
// safe, and without the flush of every row inserts are four times as fast.
function skipFlushes(sqlite3, file) {
  return new Promise((resolve, reject) => {
    new sqlite3.cached.Database(file).run('PRAGMA synchronous=OFF',
      (error) => (error ? reject(error) : resolve()));
  });
}

// Resolves to the Express app with its tables in place in the database `file`.
async function createApp({ modules, file, pageSize, tables }) {
  const packages = load(modules);
  // The empty object keeps environment variables out of the configuration.
  const mobile = packages.mobileApps(
    { data: { provider: 'sqlite', filename: file }, pageSize }, {});
  logToStandardError(packages);
  await skipFlushes(packages.sqlite3, file);
  mobile.tables.add('readings', tableDefinition(READINGS, pageSize));
  for (const name of tables) {
    mobile.tables.add(name, tableDefinition(undefined, pageSize));
  }
  await mobile.tables.initialize();
  const app = packages.express();
  app.use(mobile);
  return { app, sqlite3: packages.sqlite3 };
}

module.exports = { createApp };
