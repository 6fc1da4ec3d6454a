// SPDX-License-Identifier: Apache-2.0
'use strict';
// What the Azure Mobile Apps client expects around it, on node: Cordova's SQLite plugin, on
// better-sqlite3, and XMLHttpRequest, on node's https with one kept connection. Both do no more than
// they have to, so that what is measured is the client.

const https = require('https');

// The plugin binds by position whatever the names; the client's queries have @p1, @p2 in that order.
function bound(sql, parameters) {
  const values = parameters.map((value) => (value === undefined ? null : value));
  if (!sql.includes('@p1')) return values;
  return Object.fromEntries(values.map((value, n) => [`p${n + 1}`, value]));
}

class Transaction {
  constructor(database) {
    this.database = database;
  }

  // The plugin would do this later; for the client it makes no difference but time.
  executeSql(sql, parameters = [], done = undefined) {
    const result = this.database.execute(sql, parameters);
    if (done) done(this, result);
  }
}

class Database {
  constructor(sqlite) {
    this.sqlite = sqlite;
    this.statements = new Map();
  }

  prepared(sql) {
    if (!this.statements.has(sql)) this.statements.set(sql, this.sqlite.prepare(sql));
    return this.statements.get(sql);
  }

  execute(sql, parameters) {
    const statement = this.prepared(sql);
    const values = bound(sql, parameters);
    if (!statement.reader) {
      const { changes } = statement.run(values);
      return { rowsAffected: changes, rows: { length: 0, item: () => undefined } };
    }
    const rows = statement.all(values);
    return { rowsAffected: 0, rows: { length: rows.length, item: (n) => rows[n] } };
  }

  executeSql(sql, parameters, done, failed) {
    let result;
    try {
      result = this.execute(sql, parameters);
    } catch (error) {
      setImmediate(failed, error);
      return;
    }
    setImmediate(done, result);
  }

  transaction(work, failed, done) {
    this.sqlite.exec('BEGIN');
    try {
      work(new Transaction(this));
      this.sqlite.exec('COMMIT');
    } catch (error) {
      this.sqlite.exec('ROLLBACK');
      setImmediate(failed, error);
      return;
    }
    setImmediate(() => done());
  }

  close(done) {
    this.sqlite.close();
    setImmediate(done);
  }
}

// A store that a crash of the program cannot hurt, and the fastest such: WAL without a sync a commit.
function sqlitePlugin(BetterSqlite, file) {
  return {
    openDatabase(_, done) {
      const sqlite = new BetterSqlite(file);
      sqlite.pragma('journal_mode = WAL');
      sqlite.pragma('synchronous = NORMAL');
      setImmediate(done);
      return new Database(sqlite);
    },
  };
}

function xmlHttpRequest() {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  return class {
    constructor() {
      this.withCredentials = false;
      this.readyState = 0;
      this.status = 0;
      this.headers = {};
    }

    open(method, url) {
      this.method = method;
      this.url = url;
    }

    setRequestHeader(name, value) {
      this.headers[name] = value;
    }

    getResponseHeader(name) {
      return this.answer.headers[name.toLowerCase()] ?? null;
    }

    send(body) {
      const request = https.request(this.url, { method: this.method, headers: this.headers, agent }, (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part));
        answer.on('end', () => {
          this.answer = answer;
          this.finish(answer.statusCode, Buffer.concat(parts).toString());
        });
      });
      request.on('error', () => this.finish(0, ''));
      request.end(body);
    }

    finish(status, text) {
      this.readyState = 4;
      this.status = status;
      this.statusText = String(status);
      this.responseText = text;
      this.onreadystatechange();
    }
  };
}

// The client sends each of its callbacks through setTimeout of 0 or 1 ms: its rates are those of the
// timer. With these it shows the cost of its real work.
function useFastTimers() {
  const slow = global.setTimeout;
  global.setTimeout = (callback, ms, ...values) => (
    ms <= 1 ? setImmediate(callback, ...values) : slow(callback, ms, ...values));
}

module.exports = { sqlitePlugin, useFastTimers, xmlHttpRequest };
