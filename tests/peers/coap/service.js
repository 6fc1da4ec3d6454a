// SPDX-License-Identifier: Apache-2.0
'use strict';
// The table protocol over CoAP, from a whole request to a whole answer: nothing
// here knows of blocks, messages or sockets.
//
// request: {code, options, body}; answer: {code, options, payload, etag}.

const { randomUUID } = require('crypto');
const cbor = require('./cbor');
const {
  FORMAT, NUMBERS, firstOf, firstUint, fromUint, utf8, valuesOf,
} = require('./options');
const {
  includesDeleted, listQuery, pairOf, parametersOf, wantsRow,
} = require('./query');
const { Refusal } = require('./refusal');
const { columnsOf, compareIds } = require('./store');

const METHODS = {
  '0.01': 'GET', '0.02': 'POST', '0.03': 'PUT', '0.04': 'DELETE', '0.05': 'FETCH',
  '0.06': 'PATCH', '0.07': 'iPATCH',
};
const UNDERSTOOD = new Set(['If-Match', 'Uri-Host', 'If-None-Match', 'Uri-Port', 'Uri-Path',
  'Uri-Query', 'Accept', 'Block1', 'Block2']);
const TABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const MAX_ID_BYTES = 255;
const MAX_BODY = 1 << 20;

// ---- what a request says ----------------------------------------------------------

// An odd number marks an option that must not be passed over: RFC 7252 5.4.1.
function refuseUnknownOptions(options) {
  for (const { name } of options) {
    const number = NUMBERS[name] ?? Number(name);
    if (number % 2 === 1 && !UNDERSTOOD.has(name)) {
      throw new Refusal('4.02', `option ${number} is not understood`);
    }
  }
}

function textOf(bytes, what) {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refusal('4.00', `${what} is not UTF-8`);
  }
}

function decodeBody(format, bytes) {
  if (format !== FORMAT.JSON && format !== FORMAT.CBOR) {
    throw new Refusal('4.15', 'Content-Format is 50 or 60');
  }
  try {
    return format === FORMAT.CBOR ? cbor.decode(bytes) : JSON.parse(utf8.decode(bytes));
  } catch (error) {
    throw new Refusal('4.00', `the body cannot be read: ${error.message}`);
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFlat(value) {
  return value === null || typeof value === 'string' || typeof value === 'boolean'
    || Number.isFinite(value);
}

function checkRow(body) {
  if (!isObject(body)) throw new Refusal('4.00', 'the body is not a row');
  for (const [name, value] of Object.entries(body)) {
    if (!isFlat(value)) throw new Refusal('4.00', `column ${name} has no plain value`);
  }
  return body;
}

function checkId(id) {
  const fits = typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= MAX_ID_BYTES;
  if (!fits) throw new Refusal('4.00', `an id is a text of 1 to ${MAX_ID_BYTES} bytes`);
  return id;
}

function placeOf(options) {
  const path = valuesOf(options, 'Uri-Path').map((bytes) => textOf(bytes, 'Uri-Path'));
  const [root, table, id] = path;
  if (root !== 'tables' || path.length < 2 || path.length > 3) {
    throw new Refusal('4.04', 'no such resource');
  }
  if (!TABLE.test(table)) throw new Refusal('4.00', `${table} is not the name of a table`);
  if (path.length === 3) checkId(id);
  return { table, id };
}

function queryPairs(method, request) {
  const pairs = valuesOf(request.options, 'Uri-Query')
    .map((bytes) => pairOf(textOf(bytes, 'Uri-Query')));
  if (method !== 'FETCH') return pairs;
  if (firstUint(request.options, 'Content-Format') !== FORMAT.CBOR) {
    throw new Refusal('4.15', 'the query of a FETCH is CBOR, Content-Format 60');
  }
  const more = decodeBody(FORMAT.CBOR, request.body);
  if (!isObject(more) || !Object.values(more).every((value) => typeof value === 'string')) {
    throw new Refusal('4.00', 'the query of a FETCH is a map of text to text');
  }
  return [...pairs, ...Object.entries(more)];
}

// ---- what an answer says ------------------------------------------------------------

function encodeFor(accept, value) {
  return accept === FORMAT.CBOR ? cbor.encode(value) : Buffer.from(JSON.stringify(value));
}

function withContent(answer, value, accept = FORMAT.JSON) {
  answer.options.push({ name: 'Content-Format', value: fromUint(accept) });
  return { ...answer, payload: encodeFor(accept, value) };
}

function bare(code, row) {
  return {
    code, options: [], payload: Buffer.alloc(0), etag: row && Buffer.from(row.version),
  };
}

function refusalAnswer(refusal, accept) {
  if (refusal.row) return withContent(bare(refusal.code, refusal.row), refusal.row, accept);
  return withContent(bare(refusal.code), { error: refusal.message });
}

function withLocation(answer, table, id) {
  for (const text of ['tables', table, id]) {
    answer.options.push({ name: 'Location-Path', value: Buffer.from(text) });
  }
  return answer;
}

// ---- the operations -----------------------------------------------------------------

class Call {
  constructor(store, request) {
    this.store = store;
    this.request = request;
    this.method = METHODS[request.code];
    this.accept = undefined;
  }

  answer() {
    const { options } = this.request;
    refuseUnknownOptions(options);
    const accept = firstUint(options, 'Accept') ?? FORMAT.JSON;
    if (accept !== FORMAT.JSON && accept !== FORMAT.CBOR) {
      throw new Refusal('4.06', 'Accept is 50 or 60');
    }
    this.accept = accept;
    Object.assign(this, placeOf(options));
    this.parameters = parametersOf(queryPairs(this.method, this.request));
    this.wantsRow = wantsRow(this.parameters);
    return this.run();
  }

  run() {
    switch (`${this.method} ${this.id === undefined ? 'table' : 'row'}`) {
      case 'GET table':
      case 'FETCH table': return this.list();
      case 'POST table': return this.insert();
      case 'GET row': return this.lookup();
      case 'PUT row': return this.change((row, body) => body);
      case 'PATCH row':
      case 'iPATCH row': return this.change((row, body) => ({ ...columnsOf(row), ...body }));
      case 'DELETE row': return this.remove();
      case 'POST row': return this.undelete();
      default: throw new Refusal('4.05', 'not a method of this resource');
    }
  }

  list() {
    const query = listQuery(this.parameters);
    const byId = (a, b) => compareIds(a.id, b.id);
    const byMoment = (a, b) => Date.parse(a.updatedAt) - Date.parse(b.updatedAt) || byId(a, b);
    const items = this.store.rows(this.table)
      .filter((row) => (query.includeDeleted || !row.deleted) && query.filter(row))
      .sort(query.order === 'id' ? byId : byMoment)
      .slice(query.skip, query.skip + query.top)
      .map((row) => (query.idsOnly ? { id: row.id } : row));
    const answer = withContent(bare('2.05'), { items, nextLink: null }, this.accept);
    if (answer.payload.length > MAX_BODY) {
      throw new Refusal('5.00', 'more than 1 MiB: ask with a smaller $top');
    }
    return answer;
  }

  lookup() {
    const row = this.existing(includesDeleted(this.parameters));
    const answer = bare('2.05', row);
    const known = valuesOf(this.request.options, 'ETag').some((tag) => tag.equals(answer.etag));
    return known ? bare('2.03', row) : withContent(answer, row, this.accept);
  }

  insert() {
    const body = this.body();
    const id = body.id === undefined ? randomUUID() : checkId(body.id);
    const old = this.store.find(this.table, id);
    if (old) throw new Refusal('4.09', 'the row exists', old);
    return this.created(this.store.write(this.table, id, body));
  }

  change(columnsFrom) {
    const body = this.body();
    if (body.id !== undefined && body.id !== this.id) {
      throw new Refusal('4.00', 'the id of the body is not that of the path');
    }
    const row = this.existing(false);
    this.checkConditions(row);
    return this.written('2.04', this.store.write(this.table, this.id, columnsFrom(row, body)));
  }

  remove() {
    const row = this.existing(false);
    this.checkConditions(row);
    return this.written('2.02', this.store.write(this.table, this.id, row, true));
  }

  undelete() {
    const row = this.existing(true);
    this.checkConditions(row);
    return this.created(this.store.write(this.table, this.id, row));
  }

  // ---- parts of them

  body() {
    const format = firstUint(this.request.options, 'Content-Format');
    return checkRow(decodeBody(format, this.request.body));
  }

  existing(deletedToo) {
    const row = this.store.find(this.table, this.id);
    if (!row || (row.deleted && !deletedToo)) throw new Refusal('4.04', 'no such row');
    return row;
  }

  // An empty If-Match asks for existence alone: RFC 7252 5.10.8.1.
  checkConditions(row) {
    const wanted = valuesOf(this.request.options, 'If-Match');
    const version = Buffer.from(row.version);
    const holds = wanted.some((tag) => tag.length === 0 || tag.equals(version));
    if (wanted.length > 0 && !holds) throw new Refusal('4.12', 'another version', row);
    if (firstOf(this.request.options, 'If-None-Match')) {
      throw new Refusal('4.12', 'the row exists', row);
    }
  }

  written(code, row) {
    const answer = bare(code, row);
    return this.wantsRow ? withContent(answer, row, this.accept) : answer;
  }

  created(row) {
    return withLocation(this.written('2.01', row), this.table, row.id);
  }
}

function answerTo(store, request) {
  const call = new Call(store, request);
  try {
    return call.answer();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refusalAnswer(error, call.accept);
  }
}

module.exports = { answerTo, refusalAnswer, MAX_BODY };
