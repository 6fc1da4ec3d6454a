'use strict';
// The second port, for the test alone: arm faults, read counters and rows.

const http = require('http');
const { readBody } = require('./faults');

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const BUSY_TIMEOUT_MS = 5000;

function sendJson(res, status, value) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(value));
}

// A connection of its own sees committed rows only.
function openDatabase(sqlite3, file) {
  const database = new sqlite3.Database(file);
  database.configure('busyTimeout', BUSY_TIMEOUT_MS);
  return database;
}

function execute(database, sql, ...parameters) {
  return new Promise((resolve, reject) => {
    database.all(sql, ...parameters, (error, rows) => (error ? reject(error) : resolve(rows)));
  });
}

function quoted(name) {
  if (!IDENTIFIER.test(name || '')) throw new Error(`'${name}' is not a name`);
  return `[${name}]`;
}

function allRows(database, table) {
  return execute(database, `SELECT * FROM ${quoted(table)} ORDER BY rowid`);
}

// Past the app, so a test can choose updatedAt, which the app never lets a
// client do. One statement, so all of the rows appear at once or none.
async function seedRows(database, table, rows) {
  const names = Object.keys(rows[0]);
  const values = names.map((name) => `json_extract(value, '$.${name}')`);
  await execute(database,
    `INSERT INTO ${quoted(table)} (${names.map(quoted)}) SELECT ${values} FROM json_each(?)`,
    JSON.stringify(rows));
  return { inserted: rows.length };
}

async function deleteRows(database, table) {
  await execute(database, `DELETE FROM ${quoted(table)}`);
  return {};
}

// Keys are "METHOD /path"; each function returns what the answer shall hold.
function routes({ plan, journal, database }) {
  return {
    'GET /fault': () => ({ armed: plan.rules }),
    'POST /fault': async (req) => {
      plan.arm(JSON.parse(await readBody(req)));
      return { armed: plan.rules };
    },
    'DELETE /fault': () => {
      plan.clear();
      return { armed: [] };
    },
    'GET /stats': () => journal.report(),
    'DELETE /stats': () => {
      journal.clear();
      return {};
    },
    'GET /rows': (req, url) => allRows(database, url.searchParams.get('table')),
    'DELETE /rows': (req, url) => deleteRows(database, url.searchParams.get('table')),
    'POST /rows': async (req, url) => seedRows(
      database, url.searchParams.get('table'), JSON.parse(await readBody(req))),
  };
}

function createControl({ plan, journal, sqlite3, file }) {
  const table = routes({ plan, journal, database: openDatabase(sqlite3, file) });
  return http.createServer(async (req, res) => {
    const url = new URL(req.url, 'http://control');
    const route = table[`${req.method} ${url.pathname}`];
    if (!route) return sendJson(res, 404, { error: 'no such control' });
    try {
      sendJson(res, 200, await route(req, url));
    } catch (error) {
      sendJson(res, 400, { error: error.message });
    }
  });
}

module.exports = { createControl };
