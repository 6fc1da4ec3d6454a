// SPDX-License-Identifier: Apache-2.0
'use strict';
// Self test of the peers: node test.js [--modules DIR]
// server.js against client.js, and each against single messages made by hand.

const assert = require('assert');
const { execFile, spawn } = require('child_process');
const dgram = require('dgram');
const fs = require('fs');
const os = require('os');
const path = require('path');
const readline = require('readline');
const { parseArgs } = require('util');
const cbor = require('./cbor');
const { loadModules, modulesFolder } = require('./modules');
const { firstOf, fromBlock, fromUint, toBlock, toUint } = require('./options');

const LARGE = 100 * 1024;
const LARGEST = 1 << 20;
const DEADLINE_MS = 60000;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

// ---- programs -----------------------------------------------------------------------

const running = new Set();

class Peer {
  constructor(modules, dir) {
    this.modules = modules;
    this.dir = dir;
    this.packets = loadModules(modules).packets;
  }

  async server(...options) {
    const child = spawn(process.execPath, [path.join(__dirname, 'server.js'), '--modules',
      this.modules, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(child);
    const url = await new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`server ended with ${code}`)));
      readline.createInterface({ input: child.stdout }).once('line', (line) => {
        resolve(line.replace(/^listening /, ''));
      });
    });
    child.removeAllListeners('exit');
    return { child, url, port: Number(url.split(':')[2]) };
  }

  // {status, lines}; `onOutput` is called when the first line is out.
  run(...args) {
    return this.watch(() => {}, ...args);
  }

  watch(onOutput, ...args) {
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [path.join(__dirname, 'client.js'), '--modules', this.modules,
        ...args], { maxBuffer: 1 << 25 }, (error, out, complaints) => {
        const lines = out.split('\n').filter(Boolean).map((line) => JSON.parse(line));
        resolve({ status: error ? error.code : 0, lines, complaints });
      });
      child.stdout.once('data', onOutput);
    });
  }

  async call(...args) {
    const { status, lines, complaints } = await this.run(...args);
    assert.strictEqual(status, 0, complaints);
    assert.strictEqual(lines.length, 1);
    return lines[0];
  }

  file(name, text) {
    const file = path.join(this.dir, name);
    fs.writeFileSync(file, text);
    return `@${file}`;
  }
}

function stop(server) {
  running.delete(server.child);
  return new Promise((resolve) => {
    server.child.once('exit', (code) => resolve(code));
    server.child.kill('SIGTERM');
  });
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

// ---- single messages ------------------------------------------------------------------

class Raw {
  constructor(packets) {
    this.packets = packets;
    this.socket = dgram.createSocket('udp4');
    this.came = [];
    this.onMessage = () => {};
    this.socket.on('message', (bytes, from) => {
      const packet = packets.parse(bytes);
      this.came.push(packet);
      this.onMessage(packet, from);
    });
  }

  listen() {
    return new Promise((resolve) => {
      this.socket.bind(0, '127.0.0.1', () => resolve(this.socket.address().port));
    });
  }

  send(packet, port) {
    this.socket.send(this.packets.generate(packet), port, '127.0.0.1');
  }

  // The first message that comes after this one went out.
  async ask(packet, port) {
    const before = this.came.length;
    this.send({ confirmable: true, ...packet }, port);
    for (let waited = 0; waited < 2000; waited += 5) {
      if (this.came.length > before) return this.came[before];
      await pause(5);
    }
    throw new Error('no answer to a message');
  }

  close() {
    this.socket.close();
  }
}

function pathOptions(...segments) {
  return segments.map((text) => ({ name: 'Uri-Path', value: Buffer.from(text) }));
}

function jsonOptions(...segments) {
  return [...pathOptions(...segments), { name: 'Content-Format', value: fromUint(50) }];
}

function block1(num, more, szx) {
  return { name: 'Block1', value: fromBlock({ num, more, szx }) };
}

// ---- checks ---------------------------------------------------------------------------

function checkCbor() {
  const value = { a: 'ü', b: -1, c: 1.5, d: true, e: null, f: 65536, g: -5000000000, h: 2 ** 53 - 1 };
  assert.deepStrictEqual(cbor.decode(cbor.encode(value)), value);
  assert.strictEqual(cbor.encode({ a: 24 }).toString('hex'), 'a161611818');
  assert.strictEqual(cbor.encode(-500).toString('hex'), '3901f3');
  assert.deepStrictEqual(cbor.decode(Buffer.from('f93e00', 'hex')), 1.5);
  assert.deepStrictEqual(cbor.decode(Buffer.from('fa47c35000', 'hex')), 100000);
  for (const hex of ['', 'a1', 'a16161', '0000', 'bf', '4100', 'c000', 'a10102', '61ff', 'ff']) {
    assert.throws(() => cbor.decode(Buffer.from(hex, 'hex')), hex);
  }
}

async function checkInsert(peer, { url }) {
  const answer = await peer.call('POST', `${url}/tables/notes`, '--json', '{"id":"a","n":1}');
  assert.strictEqual(answer.code, '2.01');
  assert.strictEqual(answer.etag.length, 8);
  assert.deepStrictEqual(answer.options['Location-Path'], ['tables', 'notes', 'a']);
  assert.strictEqual(answer.payload, null);
  const row = await peer.call('POST', `${url}/tables/notes?return=representation`,
    '--cbor-from-json', '{"id":"b","t":"ü","x":-1.5,"y":true,"z":null}');
  assert.match(row.json.createdAt, ISO);
  assert.strictEqual(row.json.version, row.etag);
  assert.deepStrictEqual({ ...row.json, createdAt: 0, updatedAt: 0, version: 0 }, {
    id: 'b', createdAt: 0, updatedAt: 0, version: 0, deleted: false, t: 'ü', x: -1.5, y: true,
    z: null,
  });
  const named = await peer.call('POST', `${url}/tables/unnamed`, '--json', '{"n":1}');
  assert.match(named.options['Location-Path'][2], /^[0-9a-f-]{36}$/);
  const odd = await peer.call('POST', `${url}/tables/odd`, '--json', '{"id":"x/y ü"}');
  assert.deepStrictEqual(odd.options['Location-Path'], ['tables', 'odd', 'x/y ü']);
  assert.strictEqual((await peer.call('GET', `${url}/tables/odd/x%2Fy ü`)).json.id, 'x/y ü');
}

async function checkConflict(peer, { url }) {
  const answer = await peer.call('POST', `${url}/tables/notes`, '--json', '{"id":"a","n":2}');
  assert.strictEqual(answer.code, '4.09');
  assert.strictEqual(answer.json.n, 1);
  assert.strictEqual(answer.etag, answer.json.version);
}

async function checkLookup(peer, { url }) {
  const row = await peer.call('GET', `${url}/tables/notes/a`);
  assert.strictEqual(row.code, '2.05');
  assert.deepStrictEqual(row.options['Content-Format'], [50]);
  assert.strictEqual(row.etag, row.json.version);
  const same = await peer.call('GET', `${url}/tables/notes/a`, '--accept', '60');
  assert.deepStrictEqual(same.options['Content-Format'], [60]);
  assert.deepStrictEqual(same.json, row.json);
  const known = await peer.call('GET', `${url}/tables/notes/a`, '--etag', row.etag);
  assert.deepStrictEqual([known.code, known.payload, known.etag], ['2.03', null, row.etag]);
  const other = await peer.call('GET', `${url}/tables/notes/a`, '--etag', 'x');
  assert.strictEqual(other.code, '2.05');
  assert.strictEqual((await peer.call('GET', `${url}/tables/notes/none`)).code, '4.04');
}

async function checkChange(peer, { url }) {
  const before = await peer.call('GET', `${url}/tables/notes/b`);
  const wrong = await peer.call('PATCH', `${url}/tables/notes/b`, '--json', '{"x":2}',
    '--if-match', 'wrong');
  assert.deepStrictEqual([wrong.code, wrong.etag, wrong.json.x], ['4.12', before.etag, -1.5]);
  const merged = await peer.call('PATCH', `${url}/tables/notes/b`, '--json', '{"x":2}',
    '--if-match', before.etag);
  assert.deepStrictEqual([merged.code, merged.payload], ['2.04', null]);
  assert.notStrictEqual(merged.etag, before.etag);
  const row = (await peer.call('GET', `${url}/tables/notes/b`)).json;
  assert.deepStrictEqual([row.t, row.x, row.createdAt], ['ü', 2, before.json.createdAt]);
  assert(row.updatedAt > before.json.updatedAt);
  const again = await peer.call('iPATCH', `${url}/tables/notes/b?return=representation`,
    '--cbor-from-json', '{"x":3}', '--accept', '60');
  assert.deepStrictEqual([again.code, again.json.x, again.json.t], ['2.04', 3, 'ü']);
  const replaced = await peer.call('PUT', `${url}/tables/notes/b?return=representation`,
    '--json', '{"id":"b","x":4}', '--if-match', again.etag);
  assert.deepStrictEqual([replaced.code, replaced.json.x, replaced.json.t], ['2.04', 4, undefined]);
  for (const method of ['PATCH', 'iPATCH', 'PUT']) {
    const missing = await peer.call(method, `${url}/tables/notes/none`, '--json', '{"x":2}');
    assert.deepStrictEqual([missing.code, typeof missing.json.error], ['4.04', 'string']);
  }
}

async function checkDelete(peer, { url }) {
  const wrong = await peer.call('DELETE', `${url}/tables/notes/b`, '--if-match', 'wrong');
  assert.strictEqual(wrong.code, '4.12');
  assert.strictEqual((await peer.call('DELETE', `${url}/tables/notes/b`)).code, '2.02');
  for (const method of ['DELETE', 'GET']) {
    assert.strictEqual((await peer.call(method, `${url}/tables/notes/b`)).code, '4.04');
  }
  const shown = await peer.call('GET', `${url}/tables/notes/b?__includeDeleted=true`);
  assert.strictEqual(shown.json.deleted, true);
  const list = async (query) => (await peer.call('GET', `${url}/tables/notes${query}`)).json.items;
  assert.deepStrictEqual((await list('')).map((row) => row.id), ['a']);
  assert.deepStrictEqual((await list('?__includeDeleted=true')).map((row) => row.id), ['a', 'b']);
  const back = await peer.call('POST', `${url}/tables/notes/b?return=representation`);
  assert.deepStrictEqual([back.code, back.json.deleted, back.json.x], ['2.01', false, 4]);
  assert.strictEqual((await peer.call('POST', `${url}/tables/notes/none`)).code, '4.04');
}

async function checkLists(peer, { url }) {
  for (const id of ['c', 'a', "b'"]) {
    await peer.call('POST', `${url}/tables/list`, '--json', JSON.stringify({ id }));
  }
  const list = async (query, ...more) => {
    const answer = await peer.call('GET', `${url}/tables/list?${query}`, ...more);
    assert.strictEqual(answer.code, '2.05');
    assert.strictEqual(answer.json.nextLink, null);
    return answer.json.items;
  };
  const ids = async (query) => (await list(query)).map((row) => row.id).join();
  const rows = await list('v=3');
  assert.strictEqual(await ids('$orderby=updatedAt,id'), "c,a,b'");
  assert.strictEqual(await ids('$orderby=id'), "a,b',c");
  assert.strictEqual(await ids('$top=1&$skip=1'), 'a');
  assert.strictEqual(await ids("$filter=id gt 'b'''"), 'c');
  assert.strictEqual(await ids("$filter=(id gt 'a') and (id lt 'c')"), "b'");
  const moment = rows[1].updatedAt;
  assert.strictEqual(await ids(`$filter=updatedAt ge datetimeoffset'${moment}'`), "a,b'");
  assert.strictEqual(await ids(`$filter=updatedAt ge cast(${moment},Edm.DateTimeOffset)`), "a,b'");
  assert.strictEqual(await ids(`$filter=((updatedAt ge cast(${moment}, Edm.DateTimeOffset)) and `
    + "(id gt 'a'))&$orderby=id"), "b'");
  const finer = moment.replace('Z', '1Z');
  assert.strictEqual(await ids(`$filter=updatedAt ge datetimeoffset'${finer}'`), "b'");
  assert.deepStrictEqual((await list('$top=1', '--accept', '60')), rows.slice(0, 1));
}

async function checkFetch(peer, { url }) {
  const query = { v: '3', $filter: "id gt 'a'", $orderby: 'id', $top: '1' };
  const answer = await peer.call('FETCH', `${url}/tables/list`, '--cbor-from-json',
    JSON.stringify(query));
  assert.strictEqual(answer.code, '2.05');
  assert.deepStrictEqual(answer.json.items.map((row) => row.id), ["b'"]);
  const text = await peer.call('FETCH', `${url}/tables/list`, '--json', JSON.stringify(query));
  assert.strictEqual(text.code, '4.15');
  assert.strictEqual((await peer.call('FETCH', `${url}/tables/list`)).code, '4.15');
  const number = await peer.call('FETCH', `${url}/tables/list`, '--cbor-from-json', '{"$top":1}');
  assert.strictEqual(number.code, '4.00');
}

async function checkErrors(peer, { url }) {
  const table = `${url}/tables/list`;
  const bad = [['4.00', 'GET', `${table}?$filter=n eq 1`], ['4.00', 'GET', `${table}?$top=x`],
    ['4.00', 'GET', `${table}?$filter=updatedAt ge datetimeoffset'soon'`],
    ['4.00', 'GET', `${table}?$filter=id gt 'a' or id lt 'b'`],
    ['4.00', 'GET', `${table}?$filter=(id gt 'a'`], ['4.00', 'GET', `${table}?$filter=id gt 'a`],
    ['4.00', 'GET', `${table}?$orderby=n`], ['4.00', 'GET', `${table}?other=1`],
    ['4.00', 'GET', `${table}?v=9`], ['4.04', 'GET', `${url}/other`],
    ['4.04', 'GET', `${url}/changes`], ['4.05', 'DELETE', table], ['4.05', 'FETCH', `${table}/a`,
      '--cbor-from-json', '{}'], ['4.06', 'GET', table, '--accept', '0'],
    ['4.15', 'POST', table], ['4.00', 'POST', table, '--json', '{"a":'],
    ['4.00', 'POST', table, '--json', '[]'], ['4.00', 'POST', table, '--json', '{"a":{}}'],
    ['4.00', 'POST', table, '--json', '{"id":7}'],
    ['4.00', 'PUT', `${table}/a`, '--json', '{"id":"z"}'],
    ['4.02', 'GET', table, '--option', '65001=00']];
  for (const [code, ...args] of bad) {
    const answer = await peer.call(...args);
    assert.strictEqual(answer.code, code, args.join(' '));
    assert.strictEqual(typeof answer.json.error, 'string');
  }
  assert.strictEqual((await peer.call('GET', table, '--option', '65000=00')).code, '2.05');
  assert.strictEqual((await peer.run('GET', 'http://127.0.0.1/')).status, 2);
}

async function checkLarge(peer, { url }) {
  const row = { id: 'large', text: 'x'.repeat(LARGE), last: 'ü' };
  const body = peer.file('large.json', JSON.stringify(row));
  const made = await peer.call('POST', `${url}/tables/large?return=representation`, '--json', body);
  assert.strictEqual(made.code, '2.01');
  assert.strictEqual(made.json.text, row.text);
  assert.strictEqual(made.etag, made.json.version);
  assert.strictEqual(made.block_etags, undefined);
  for (const more of [[], ['--accept', '60'], ['--block', '256']]) {
    const answer = await peer.call('GET', `${url}/tables/large/large`, ...more);
    assert.strictEqual(answer.etag, made.etag);
    assert.deepStrictEqual(answer.json, made.json);
  }
  const small = await peer.call('GET', `${url}/tables/large/large`, '--block', '16');
  assert.match(small.options.Block2[0], /^\d{4}\/0\/16$/);
  assert.deepStrictEqual(small.json, made.json);
  const list = await peer.call('GET', `${url}/tables/large`);
  assert.deepStrictEqual(list.json.items, [made.json]);
  const put = await peer.call('PUT', `${url}/tables/large/large`, '--cbor-from-json', body,
    '--block', '64', '--if-match', made.etag);
  assert.strictEqual(put.code, '2.04');
  const wrong = await peer.call('PATCH', `${url}/tables/large/large`, '--json', body,
    '--if-match', made.etag);
  assert.deepStrictEqual([wrong.code, wrong.etag, wrong.json.text], ['4.12', put.etag, row.text]);
}

async function checkLargest(peer, { url }) {
  const rest = JSON.stringify({ id: 'm', t: '' }).length;
  const fits = JSON.stringify({ id: 'm', t: 'x'.repeat(LARGEST - rest) });
  const full = await peer.call('POST', `${url}/tables/largest`, '--json', peer.file('1m', fits));
  assert.strictEqual(full.code, '2.01');
  const over = await peer.call('POST', `${url}/tables/largest`, '--json',
    peer.file('1m1', `${fits} `));
  assert.deepStrictEqual([over.code, over.options.Size1], ['4.13', [LARGEST]]);
  const list = await peer.call('GET', `${url}/tables/largest`);
  assert.strictEqual(list.code, '5.00');
}

async function checkChangedTags(peer) {
  const server = await peer.server('--change-etag-between-blocks');
  const row = { id: 'a', text: 'x'.repeat(3000) };
  await peer.call('POST', `${server.url}/tables/t`, '--json', JSON.stringify(row));
  const answer = await peer.call('GET', `${server.url}/tables/t/a`);
  assert.strictEqual(answer.json.text, row.text);
  assert.strictEqual(answer.block_etags.length, 4);
  await peer.call('POST', `${server.url}/tables/t`, '--json', '{"id":"b"}');
  const small = await peer.call('GET', `${server.url}/tables/t/b`);
  assert.strictEqual(small.etag, small.json.version);
  assert.strictEqual(await stop(server), 0);
}

async function checkObserve(peer) {
  const server = await peer.server('--observe');
  let observing;
  await new Promise((resolve) => {
    observing = peer.watch(resolve, 'GET', `${server.url}/changes`, '--observe', '3');
  });
  const written = [];
  const write = async (id) => {
    const answer = await peer.call('POST', `${server.url}/tables/t?return=representation`,
      '--json', JSON.stringify({ id }));
    written.push(answer.json.updatedAt);
  };
  await write('a');
  await write('b');
  const { status, lines, complaints } = await observing;
  assert.strictEqual(status, 0, complaints);
  assert.deepStrictEqual(lines.map((line) => line.payload), ['1970-01-01T00:00:00.000Z', ...written]);
  assert.deepStrictEqual(lines[0].options['Content-Format'], [0]);
  const numbers = lines.map((line) => line.options.Observe[0]);
  assert(numbers[0] < numbers[1] && numbers[1] < numbers[2]);
  const plain = await peer.call('GET', `${server.url}/changes`);
  assert.deepStrictEqual([plain.payload, plain.options.Observe], [written[1], undefined]);
  const refused = await peer.run('GET', `${server.url}/tables/t`, '--observe', '1');
  assert.deepStrictEqual([refused.status, refused.lines.length], [1, 1]);
  await stop(server);
}

// Both ways to end it, without confirmation of the messages too.
async function checkObserveMessages(peer) {
  const server = await peer.server('--observe');
  const observe = (value) => [...pathOptions('changes'), { name: 'Observe', value: fromUint(value) }];
  const write = (id) => peer.call('POST', `${server.url}/tables/t`, '--json', `{"id":"${id}"}`);
  for (const confirmable of [true, false]) {
    const raw = new Raw(peer.packets);
    const request = { confirmable, code: 'GET', token: Buffer.from('tok'), messageId: 7 };
    await raw.ask({ ...request, options: observe(0) }, server.port);
    await write(`a${confirmable}`);
    await pause(100);
    const [first, second] = raw.came;
    assert.strictEqual(first.ack, confirmable);
    assert.deepStrictEqual([second.ack, second.confirmable], [false, confirmable]);
    if (confirmable) raw.send({ code: '0.00', reset: true, messageId: second.messageId }, server.port);
    else await raw.ask({ ...request, messageId: 8, options: observe(1) }, server.port);
    await pause(100);
    const before = raw.came.length;
    await write(`b${confirmable}`);
    await pause(200);
    assert.strictEqual(raw.came.length, before);
    raw.close();
  }
  await stop(server);
}

// A token of its own for every block, and a first attempt that was given up.
async function checkForeignBlocks(peer, { port }) {
  const raw = new Raw(peer.packets);
  const body = Buffer.from(JSON.stringify({ id: 'foreign', text: 'x'.repeat(80) }));
  const options = jsonOptions('tables', 'blocks');
  const send = (n, more, chunk) => raw.ask({ code: 'POST', token: Buffer.of(n, raw.came.length),
    options: [...options, block1(n, more, 1)], payload: chunk }, port);
  const chunk = (n) => body.subarray(n * 32, n * 32 + 32);
  assert.strictEqual((await send(1, true, chunk(1))).code, '4.08');
  await send(0, true, Buffer.alloc(32));
  await send(1, true, Buffer.alloc(32));
  for (const n of [0, 1, 2]) {
    const answer = await send(n, true, chunk(n));
    assert.strictEqual(answer.code, '2.31');
    assert.deepStrictEqual(toBlock(firstOf(answer.options, 'Block1')), { num: n, more: true, szx: 1 });
  }
  const last = await send(3, false, chunk(3));
  assert.strictEqual(last.code, '2.01');
  assert.deepStrictEqual(toBlock(firstOf(last.options, 'Block1')), { num: 3, more: false, szx: 1 });
  const get = (n) => raw.ask({ code: 'GET', token: Buffer.of(n), options: [
    ...pathOptions('tables', 'blocks', 'foreign'),
    { name: 'Block2', value: fromBlock({ num: n, more: false, szx: 2 }) }] }, port);
  const blocks = [await get(0), await get(1)];
  assert.deepStrictEqual(...blocks.map((block) => firstOf(block.options, 'ETag')));
  assert(toUint(firstOf(blocks[0].options, 'Size2')) > 128);
  assert.strictEqual((await get(99)).code, '4.00');
  raw.close();
}

async function checkMessages(peer, { port }) {
  const raw = new Raw(peer.packets);
  const insert = { code: 'POST', token: Buffer.from('t'), messageId: 100,
    options: jsonOptions('tables', 'twice'), payload: Buffer.from('{"id":"a"}') };
  const [first, second] = [await raw.ask({ ...insert }, port), await raw.ask({ ...insert }, port)];
  assert.deepStrictEqual([first.code, first.ack, second.code], ['2.01', true, '2.01']);
  const third = await raw.ask({ ...insert, messageId: 101, confirmable: false }, port);
  assert.deepStrictEqual([third.code, third.ack, third.confirmable], ['4.09', false, false]);
  const pong = await raw.ask({ code: '0.00', messageId: 102 }, port);
  assert.deepStrictEqual([pong.reset, pong.messageId], [true, 102]);
  raw.close();
}

async function checkSeparateAnswers(peer) {
  const server = await peer.server('--delay', '300');
  const url = `${server.url}/tables/t`;
  assert.strictEqual((await peer.call('POST', url, '--json', '{"id":"a"}')).code, '2.01');
  assert.strictEqual((await peer.call('GET', `${url}/a`, '--non')).json.id, 'a');
  const raw = new Raw(peer.packets);
  const ack = await raw.ask({ code: 'GET', token: Buffer.from('t'),
    options: pathOptions('tables', 't', 'a') }, server.port);
  assert.deepStrictEqual([ack.code, ack.ack], ['0.00', true]);
  await pause(500);
  const answer = raw.came[1];
  assert.deepStrictEqual([answer.code, answer.confirmable], ['2.05', true]);
  raw.close();
  await stop(server);
}

// The client against a server that says nothing, refuses, or loses a message.
async function checkClient(peer) {
  const raw = new Raw(peer.packets);
  const url = `coap://127.0.0.1:${await raw.listen()}/x`;
  assert.strictEqual((await peer.run('GET', url, '--timeout', '0.5')).status, 3);
  raw.onMessage = (packet, from) => {
    raw.send({ code: '0.00', reset: true, messageId: packet.messageId }, from.port);
  };
  const reset = await peer.run('GET', url);
  assert.deepStrictEqual([reset.status, reset.lines[0].code], [1, '0.00']);
  let asked = 0;
  raw.onMessage = ({ messageId, token }, from) => {
    asked += 1;
    if (asked === 2) raw.send({ code: '2.05', ack: true, messageId, token }, from.port);
  };
  assert.strictEqual((await peer.call('GET', url)).code, '2.05');
  // Refused at the first block: the others stay where they are.
  asked = 0;
  raw.onMessage = ({ messageId, token, options }, from) => {
    asked += 1;
    const block = { name: 'Block1', value: firstOf(options, 'Block1') };
    raw.send({ code: '4.13', ack: true, messageId, token, options: [block] }, from.port);
  };
  const body = JSON.stringify({ text: 'x'.repeat(5000) });
  assert.strictEqual((await peer.call('POST', url, '--json', body)).code, '4.13');
  assert.strictEqual(asked, 1);
  // An option that nobody knows goes out as it was given.
  let sent;
  raw.onMessage = ({ messageId, token, options }, from) => {
    sent = firstOf(options, '65000');
    raw.send({ code: '2.05', ack: true, messageId, token, options: [
      { name: '65004', value: Buffer.from('beef', 'hex') },
      { name: 'ETag', value: Buffer.from('ff', 'hex') }] }, from.port);
  };
  const echo = await peer.call('GET', url, '--option', '65000=c0ffee');
  assert.strictEqual(sent.toString('hex'), 'c0ffee');
  assert.deepStrictEqual(echo.options, { ETag: ['ff'], 65004: ['beef'] });
  raw.close();
}

// ---- all of them ----------------------------------------------------------------------

const ON_ONE_SERVER = [checkInsert, checkConflict, checkLookup, checkChange, checkDelete, checkLists,
  checkFetch, checkErrors, checkLarge, checkLargest, checkForeignBlocks, checkMessages];
const BY_THEMSELVES = [checkCbor, checkChangedTags, checkObserve, checkObserveMessages,
  checkSeparateAnswers, checkClient];

async function within(promise, ms) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${ms / 1000} s`)), ms);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function runAll(peer) {
  const server = await peer.server();
  const checks = [...ON_ONE_SERVER.map((check) => [check, server]), ...BY_THEMSELVES.map((c) => [c])];
  let failed = 0;
  for (const [check, argument] of checks) {
    try {
      await within(check(peer, argument), DEADLINE_MS);
      console.log(`ok   ${check.name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${check.name}: ${error.stack}`);
    }
  }
  const code = await stop(server);
  if (code !== 0) console.log(`FAIL the server ended with ${code}`);
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  return failed === 0 && code === 0;
}

async function main() {
  const { values } = parseArgs({ options: { modules: { type: 'string' } } });
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-coap-'));
  let passed = false;
  try {
    passed = await runAll(new Peer(modulesFolder(values.modules), dir));
  } finally {
    for (const child of running) child.kill('SIGKILL');
    fs.rmSync(dir, { recursive: true });
  }
  process.exit(passed ? 0 : 1);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
