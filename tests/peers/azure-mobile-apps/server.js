'use strict';
// The published azure-mobile-apps server over HTTPS, with fault injection.
// Loopback only. See README.md for the control channel.

const fs = require('fs');
const https = require('https');
const path = require('path');
const { parseArgs } = require('util');
const { createApp } = require('./app');
const { createControl } = require('./control');
const { FaultPlan, faultyHandler } = require('./faults');
const { Journal } = require('./journal');

const HOST = '127.0.0.1';
const USAGE = 'usage: node server.js --modules DIR --data DIR --cert FILE --key FILE'
  + ' [--ca FILE] [--page-size N] [--port N] [--control-port N] [--tables a,b]';

function readOptions() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: {
      modules: text, data: text, cert: text, key: text, ca: text,
      'page-size': { type: 'string', default: '50' },
      port: { type: 'string', default: '0' },
      'control-port': { type: 'string', default: '0' },
      tables: { type: 'string', default: 'events,notes' },
    },
  });
  for (const name of ['modules', 'data', 'cert', 'key']) {
    if (!values[name]) throw new Error(`--${name} is missing`);
  }
  return values;
}

// With --ca, only clients with a certificate from that authority get in.
function tlsOptions(options) {
  const tls = { cert: fs.readFileSync(options.cert), key: fs.readFileSync(options.key) };
  if (options.ca) {
    Object.assign(tls,
      { ca: fs.readFileSync(options.ca), requestCert: true, rejectUnauthorized: true });
  }
  return tls;
}

function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(port), HOST, () => resolve(server.address().port));
  });
}

function createTableServer(options, app, plan, journal) {
  const server = https.createServer(tlsOptions(options), faultyHandler(app, plan, journal));
  server.on('secureConnection', () => journal.connected());
  server.on('tlsClientError', () => journal.tlsFailed());
  return server;
}

async function start(options) {
  fs.mkdirSync(options.data, { recursive: true });
  const file = path.resolve(options.data, 'tables.sqlite');
  const { app, sqlite3 } = await createApp({
    modules: path.resolve(options.modules), file,
    pageSize: Number(options['page-size']),
    tables: options.tables.split(',').filter(Boolean),
  });
  const plan = new FaultPlan();
  const journal = new Journal();
  const tables = createTableServer(options, app, plan, journal);
  const control = createControl({ plan, journal, sqlite3, file });
  const controlPort = await listen(control, options['control-port']);
  const port = await listen(tables, options.port);
  // The line that means "ready" comes last.
  console.log(`control http://${HOST}:${controlPort}`);
  console.log(`listening https://${HOST}:${port}`);
}

function main() {
  process.on('SIGTERM', () => process.exit(0));
  // The package uses constructors that node calls deprecated; not our concern.
  process.noDeprecation = true;
  let options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
  start(options).catch((error) => {
    console.error(error);
    process.exit(1);
  });
}

main();
