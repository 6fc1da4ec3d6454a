// SPDX-License-Identifier: Apache-2.0
'use strict';
// The query of a request: which parameters there are, and the few filters that a
// client of the table protocol sends while it synchronises.

const { Refusal } = require('./refusal');
const { compareIds } = require('./store');

const PARAMETERS = new Set(['v', '$filter', '$orderby', '$top', '$skip', '$select',
  '__includeDeleted', '__includedeleted', 'return']);
const TOKEN = /\s*('(?:[^']|'')*'|[(),]|[^\s(),']+)/y;
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)$/;
const DEFAULT_TOP = 100;
const LARGEST_TOP = 1000;
const ORDERS = new Map([[undefined, 'updatedAt'], ['updatedAt', 'updatedAt'],
  ['updatedAt,id', 'updatedAt'], ['updatedAt asc,id asc', 'updatedAt'], ['id', 'id'],
  ['id asc', 'id']]);

function bad(text) {
  return new Refusal('4.00', text);
}

// ---- $filter ------------------------------------------------------------------

function tokensOf(text) {
  const tokens = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(text);
    if (!match) throw bad('$filter: a quote is not closed');
    tokens.push(match[1]);
  }
  return tokens;
}

// Rows have whole milliseconds; what a literal has beyond them counts as one more,
// which is exact for `ge` and `lt`.
function momentOf(text) {
  const match = DATE.exec(text);
  const milliseconds = match ? Date.parse(text) : NaN;
  if (Number.isNaN(milliseconds)) throw bad(`$filter: ${text} is not a date`);
  return milliseconds + (/[1-9]/.test((match[1] ?? '').slice(3)) ? 1 : 0);
}

class FilterParser {
  constructor(text) {
    this.tokens = tokensOf(text);
    this.at = 0;
  }

  next() {
    const token = this.tokens[this.at];
    this.at += 1;
    return token ?? 'the end';
  }

  accept(token) {
    const is = this.tokens[this.at] === token;
    if (is) this.at += 1;
    return is;
  }

  expect(token) {
    const found = this.next();
    if (found !== token) throw bad(`$filter: ${token} expected, not ${found}`);
  }

  text() {
    const token = this.next();
    if (!token.startsWith("'")) throw bad(`$filter: a quoted text expected, not ${token}`);
    return token.slice(1, -1).replaceAll("''", "'");
  }

  moment() {
    if (this.accept('datetimeoffset')) return momentOf(this.text());
    this.expect('cast');
    this.expect('(');
    const quoted = this.tokens[this.at]?.startsWith("'");
    const literal = quoted ? this.text() : this.next();
    this.expect(',');
    this.expect('Edm.DateTimeOffset');
    this.expect(')');
    return momentOf(literal);
  }

  condition() {
    const shape = `${this.next()} ${this.next()}`;
    switch (shape) {
      case 'updatedAt ge':
      case 'updatedAt lt': {
        const moment = this.moment();
        const wanted = shape.endsWith('ge');
        return (row) => (Date.parse(row.updatedAt) >= moment) === wanted;
      }
      case 'id gt':
      case 'id lt': {
        const id = this.text();
        const sign = shape.endsWith('gt') ? 1 : -1;
        return (row) => compareIds(row.id, id) * sign > 0;
      }
      default:
        throw bad(`$filter: ${shape} is not supported`);
    }
  }

  term() {
    if (!this.accept('(')) return this.condition();
    const inner = this.all();
    this.expect(')');
    return inner;
  }

  all() {
    const terms = [this.term()];
    while (this.accept('and')) terms.push(this.term());
    return (row) => terms.every((term) => term(row));
  }

  whole() {
    const filter = this.all();
    if (this.at < this.tokens.length) throw bad(`$filter: ${this.next()} is not supported`);
    return filter;
  }
}

// ---- the others ---------------------------------------------------------------

function count(text, name, fallback) {
  if (text === undefined) return fallback;
  if (!/^\d{1,9}$/.test(text)) throw bad(`${name}: ${text} is not a number`);
  return Number(text);
}

function flag(text, name) {
  if (text !== undefined && text !== 'true' && text !== 'false') {
    throw bad(`${name} is true or false`);
  }
  return text === 'true';
}

// Pairs of name and value, both text.
function parametersOf(pairs) {
  const parameters = new Map();
  for (const [name, value] of pairs) {
    if (!PARAMETERS.has(name)) throw bad(`no such parameter: ${name}`);
    if (parameters.has(name)) throw bad(`${name} twice`);
    parameters.set(name, value);
  }
  const version = parameters.get('v');
  if (version !== undefined && !/^[23](\.0){0,2}$/.test(version)) {
    throw bad(`no such version of the protocol: ${version}`);
  }
  return parameters;
}

function pairOf(text) {
  const end = text.indexOf('=');
  return end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end + 1)];
}

function listQuery(parameters) {
  const order = ORDERS.get(parameters.get('$orderby'));
  if (!order) throw bad(`$orderby: ${parameters.get('$orderby')} is not supported`);
  const filter = parameters.get('$filter');
  const top = count(parameters.get('$top'), '$top', DEFAULT_TOP);
  if (top > LARGEST_TOP) throw bad(`$top is ${LARGEST_TOP} at most`);
  const select = parameters.get('$select');
  if (select !== undefined && select !== 'id') throw bad(`$select: ${select} is not supported`);
  return {
    order, top, skip: count(parameters.get('$skip'), '$skip', 0), idsOnly: select === 'id',
    filter: filter === undefined ? () => true : new FilterParser(filter).whole(),
    includeDeleted: includesDeleted(parameters),
  };
}

function includesDeleted(parameters) {
  return ['__includeDeleted', '__includedeleted'].some((name) => flag(parameters.get(name), name));
}

function wantsRow(parameters) {
  const wish = parameters.get('return');
  if (wish !== undefined && wish !== 'representation' && wish !== 'minimal') {
    throw bad('return is representation or minimal');
  }
  return wish === 'representation';
}

module.exports = { parametersOf, pairOf, listQuery, includesDeleted, wantsRow };
