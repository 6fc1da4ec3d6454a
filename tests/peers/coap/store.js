// SPDX-License-Identifier: Apache-2.0
'use strict';
// Rows in memory. Every write gets an updatedAt and a version that no write had.

const SYSTEM_COLUMNS = ['id', 'createdAt', 'updatedAt', 'version', 'deleted'];
const NEVER = '1970-01-01T00:00:00.000Z';

// As SQLite and most servers compare text, which is not how JavaScript does.
function compareIds(a, b) {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function columnsOf(row) {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !SYSTEM_COLUMNS.includes(name)));
}

class Store {
  constructor() {
    this.tables = new Map();
    this.newest = NEVER;
    this.versions = 0;
    this.onChange = () => {};
  }

  find(table, id) {
    return this.tables.get(table)?.get(id);
  }

  rows(table) {
    return [...this.tables.get(table)?.values() ?? []];
  }

  // In place of the row of this id, if there is one.
  write(table, id, columns, deleted = false) {
    const old = this.find(table, id);
    const updatedAt = this.nextMoment();
    const row = {
      id, createdAt: old ? old.createdAt : updatedAt, updatedAt, version: this.nextVersion(),
      deleted, ...columnsOf(columns),
    };
    if (!this.tables.has(table)) this.tables.set(table, new Map());
    this.tables.get(table).set(id, row);
    this.newest = updatedAt;
    this.onChange();
    return row;
  }

  nextMoment() {
    return new Date(Math.max(Date.now(), Date.parse(this.newest) + 1)).toISOString();
  }

  nextVersion() {
    this.versions += 1;
    const bytes = Buffer.alloc(6);
    bytes.writeUIntBE(this.versions, 0, 6);
    return bytes.toString('base64');
  }
}

module.exports = { Store, SYSTEM_COLUMNS, columnsOf, compareIds };
