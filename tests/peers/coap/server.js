// SPDX-License-Identifier: Apache-2.0
'use strict';
// A table server in memory over plain CoAP, on the published package coap.
// Loopback only. See README.md for the wire and the options.

const dgram = require('dgram');
const { parseArgs } = require('util');
const { Blockwise } = require('./blocks');
const { loadModules } = require('./modules');
const { firstUint, valuesOf } = require('./options');
const { createServer, receivedOptions, sendMessage } = require('./published');
const { answerTo } = require('./service');
const { Store } = require('./store');

const HOST = '127.0.0.1';
const USAGE = 'usage: node server.js [--port N] [--modules DIR] [--observe]'
  + ' [--change-etag-between-blocks] [--delay MS]';
const CHANGES = '/changes';
// A whole block and room for what stands in front of it.
const MAX_MESSAGE_BYTES = 1400;

function readOptions() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  return parseArgs({
    options: {
      modules: text,
      port: { type: 'string', default: '0' },
      delay: { type: 'string', default: '0' },
      observe: flag,
      'change-etag-between-blocks': flag,
    },
  }).values;
}

function isChanges(options) {
  return `/${valuesOf(options, 'Uri-Path').join('/')}` === CHANGES;
}

// ---- /changes -----------------------------------------------------------------------

class Changes {
  constructor(store) {
    this.store = store;
    this.observers = new Map();
    store.onChange = () => this.notify();
  }

  add(key, stream) {
    this.remove(key);
    this.observers.set(key, stream);
    // It ends when the client refuses a notification or leaves one unanswered.
    stream.on('finish', () => {
      if (this.observers.get(key) === stream) this.observers.delete(key);
    });
    stream.statusCode = '2.05';
    stream.setOption('Content-Format', Buffer.alloc(0));
    stream.write(this.store.newest);
  }

  remove(key) {
    const stream = this.observers.get(key);
    this.observers.delete(key);
    if (stream) stream.end();
  }

  notify() {
    for (const stream of this.observers.values()) {
      // To a client that asked without confirmation coap would send an ACK.
      stream._packet.ack = false;
      stream.write(this.store.newest);
    }
  }

  answer(code) {
    if (code !== '0.01') return { code: '4.05', options: [], payload: Buffer.alloc(0) };
    const format = { name: 'Content-Format', value: Buffer.alloc(0) };
    return { code: '2.05', options: [format], payload: Buffer.from(this.store.newest) };
  }
}

// ---- requests -----------------------------------------------------------------------

class TableServer {
  constructor(modules, options) {
    this.modules = modules;
    this.delay = Number(options.delay);
    this.store = new Store();
    this.changes = options.observe ? new Changes(this.store) : undefined;
    this.tags = 0;
    const freshTag = options['change-etag-between-blocks'] ? () => this.freshTag() : undefined;
    this.blockwise = new Blockwise((request) => answerTo(this.store, request), freshTag);
    modules.coap.updateTiming({ maxMessageSize: MAX_MESSAGE_BYTES });
    this.server = createServer(modules, {}, (came) => this.changes && isChanges(came));
    this.server.on('request', (request, response) => this.handle(request, response));
    this.server.on('error', (error) => console.error(error));
  }

  freshTag() {
    this.tags += 1;
    return Buffer.from(`t${String(this.tags).padStart(7, '0')}`);
  }

  handle(request, response) {
    response.on('error', (error) => console.error(error));
    const peer = `${request.rsinfo.address}:${request.rsinfo.port}`;
    const options = receivedOptions(request);
    if (this.changes && isChanges(options)) {
      this.handleChanges(`${peer} ${request._packet.token.toString('hex')}`, request, response);
      return;
    }
    const { code, payload } = request;
    const message = this.respond(peer, { code, options, payload });
    if (this.delay === 0) sendMessage(this.modules, response, message);
    else setTimeout(() => sendMessage(this.modules, response, message), this.delay);
  }

  handleChanges(key, request, response) {
    if (response instanceof this.modules.coap.ObserveWriteStream) {
      this.changes.add(key, response);
      return;
    }
    if (firstUint(receivedOptions(request), 'Observe') === 1) this.changes.remove(key);
    sendMessage(this.modules, response, this.changes.answer(request.code));
  }

  respond(peer, request) {
    try {
      return this.blockwise.respond(peer, request);
    } catch (error) {
      console.error(error);
      return { code: '5.00', options: [], payload: Buffer.alloc(0) };
    }
  }

  listen(port) {
    const socket = dgram.createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, HOST, () => {
        socket.removeListener('error', reject);
        this.server.listen(socket);
        resolve(socket.address().port);
      });
    });
  }
}

async function main() {
  process.on('SIGTERM', () => process.exit(0));
  let options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
  const server = new TableServer(loadModules(options.modules), options);
  const port = await server.listen(Number(options.port));
  console.log(`listening coap://${HOST}:${port}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
