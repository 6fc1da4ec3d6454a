// SPDX-License-Identifier: Apache-2.0
// store/schema.h - the SQL text of the system tables. store/README.md explains every column.
#ifndef HOLDFAST_STORE_SCHEMA_H_
#define HOLDFAST_STORE_SCHEMA_H_

namespace holdfast::store::schema {

// Grows with every change that an older holdfast must not touch. Kept in __config.
inline constexpr int kVersion = 2;

// Each statement may run again: a file that lost its power half-way is completed.
inline constexpr const char* kCreate = R"(
CREATE TABLE IF NOT EXISTS __operations(
  sequence INTEGER PRIMARY KEY,
  tableName TEXT NOT NULL,
  itemId TEXT NOT NULL,
  kind INTEGER NOT NULL,
  state INTEGER NOT NULL,
  changes INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  queuedAt INTEGER,
  editedAt INTEGER,
  baseVersion TEXT,
  base TEXT,
  item TEXT,
  previous INTEGER,
  replaced INTEGER,
  sent BLOB);
CREATE TABLE IF NOT EXISTS __errors(
  id INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  httpStatus INTEGER,
  operationVersion INTEGER NOT NULL,
  operationKind INTEGER NOT NULL,
  tableName TEXT NOT NULL,
  itemId TEXT NOT NULL,
  item TEXT,
  base TEXT,
  rawResult TEXT,
  serverVersion TEXT);
CREATE TABLE IF NOT EXISTS __resolutions(
  id INTEGER PRIMARY KEY,
  decidedAt INTEGER,
  rule TEXT NOT NULL,
  kept INTEGER NOT NULL,
  operationKind INTEGER NOT NULL,
  tableName TEXT NOT NULL,
  itemId TEXT NOT NULL,
  item TEXT,
  base TEXT,
  server TEXT);
CREATE TABLE IF NOT EXISTS __missed(
  tableName TEXT NOT NULL,
  itemId TEXT NOT NULL,
  PRIMARY KEY(tableName, itemId)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __config(id TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __shadows(
  tableName TEXT NOT NULL,
  itemId TEXT NOT NULL,
  op INTEGER,
  version TEXT,
  createdAt TEXT,
  updatedAt TEXT,
  content TEXT,
  refers INTEGER,
  PRIMARY KEY(tableName, itemId)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __uploads(
  sequence INTEGER PRIMARY KEY,
  changes INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  baseVersion TEXT,
  mask INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  digest BLOB,
  resource TEXT);
CREATE TABLE IF NOT EXISTS __download(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  tableName TEXT NOT NULL,
  itemId TEXT NOT NULL,
  version TEXT NOT NULL,
  bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS __pieces(place INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS __tracking(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  applying INTEGER NOT NULL,
  lastSequence INTEGER NOT NULL);
INSERT OR IGNORE INTO __tracking VALUES(1, 0, 0);
CREATE TRIGGER IF NOT EXISTS __operations_keep_sequence AFTER DELETE ON __operations
WHEN OLD.sequence > ifnull((SELECT max(sequence) FROM __operations), 0)
BEGIN
  UPDATE __tracking SET lastSequence = OLD.sequence WHERE id = 1 AND lastSequence < OLD.sequence;
END;
)";

// The sequence that the next operation gets: above all that are queued, and all that ever were.
#define HOLDFAST_NEXT_SEQUENCE                                                        \
  "max(ifnull((SELECT sequence FROM __operations ORDER BY sequence DESC LIMIT 1),0)," \
  "(SELECT lastSequence FROM __tracking WHERE id=1))+1"

// Seconds since 1970. Cheaper than strftime('%s'), and there before unixepoch() was.
#define HOLDFAST_NOW_SECONDS "CAST((julianday('now')-2440587.5)*86400 AS INTEGER)"

// From version 1 to 2; the rest is in kCreate.
inline constexpr const char* kAddEditedAt = "ALTER TABLE __operations ADD COLUMN editedAt INTEGER";

}  // namespace holdfast::store::schema

#endif  // HOLDFAST_STORE_SCHEMA_H_
