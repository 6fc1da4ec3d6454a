// SPDX-License-Identifier: Apache-2.0
'use strict';
// One CoAP request by the published package coap; one line of JSON per answer.
// See README.md for the options and what the line holds.

const dgram = require('dgram');
const fs = require('fs');
const { parseArgs } = require('util');
const cbor = require('./cbor');
const { loadModules } = require('./modules');
const {
  FORMAT, NUMBERS, firstOf, firstUint, fromUint, readable, szxOf, utf8,
} = require('./options');
const { createAgent, receivedOptions } = require('./published');

const USAGE = 'usage: node client.js METHOD coap://HOST[:PORT]/path[?query]'
  + ' [--json BODY | --cbor-from-json BODY] [--if-match TEXT] [--etag TEXT] [--accept N]'
  + ' [--block N] [--observe COUNT] [--timeout S] [--option NUMBER=HEX]... [--non]'
  + ' [--modules DIR]; a BODY of @FILE is that file';
const METHODS = new Map(['GET', 'POST', 'PUT', 'DELETE', 'FETCH', 'PATCH', 'iPATCH']
  .map((name) => [name.toLowerCase(), name]));
const EXIT = { ANSWER: 0, FAILED: 1, USAGE: 2, TIMEOUT: 3 };
const DEFAULT_PORT = 5683;
const LARGEST_BLOCK = 1024;
// The acknowledgement of a separate answer is still on its way to the socket.
const LINGER_MS = 20;

// ---- the command line -----------------------------------------------------------------

function readArguments() {
  const text = { type: 'string' };
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: text, 'cbor-from-json': text, 'if-match': text, etag: text, accept: text, block: text,
      observe: text, modules: text, timeout: { type: 'string', default: '30' },
      option: { type: 'string', multiple: true, default: [] },
      non: { type: 'boolean', default: false },
    },
  });
  const [method, url] = positionals;
  if (positionals.length !== 2 || !METHODS.has(method.toLowerCase())) throw new Error('METHOD URL');
  return { ...values, method: METHODS.get(method.toLowerCase()), url: splitUrl(url) };
}

// %xx is decoded here, so that a segment can hold a slash and a value an ampersand.
function decoded(text) {
  const bytes = Buffer.from(text);
  const parts = [];
  for (let i = 0; i < bytes.length; i += 1) {
    const pair = bytes.subarray(i + 1, i + 3).toString('latin1');
    const escape = bytes[i] === 0x25 && /^[0-9a-fA-F]{2}$/.test(pair);
    parts.push(escape ? parseInt(pair, 16) : bytes[i]);
    if (escape) i += 2;
  }
  return Buffer.from(parts);
}

// Not by URL(): that one escapes blanks and quotes, which CoAP sends as they are.
function splitUrl(text) {
  const match = /^coap:\/\/([^/:?]+)(?::(\d+))?(?:\/([^?]*))?(?:\?(.*))?$/s.exec(text);
  if (!match) throw new Error(`not a coap:// address: ${text}`);
  const [, hostname, port, path, query] = match;
  return {
    hostname, port: port ? Number(port) : DEFAULT_PORT,
    path: path ? path.split('/').map(decoded) : [],
    query: query ? query.split('&').map(decoded) : [],
  };
}

function bodyText(argument) {
  return argument.startsWith('@') ? fs.readFileSync(argument.slice(1)) : Buffer.from(argument);
}

function bodyOf(given) {
  if (given.json !== undefined) return { format: FORMAT.JSON, bytes: bodyText(given.json) };
  const text = given['cbor-from-json'];
  if (text === undefined) return undefined;
  return { format: FORMAT.CBOR, bytes: cbor.encode(JSON.parse(bodyText(text).toString())) };
}

function extraOption(text) {
  const match = /^(\d+)=((?:[0-9a-fA-F]{2})*)$/.exec(text);
  if (!match) throw new Error(`--option NUMBER=HEX, not ${text}`);
  return [match[1], Buffer.from(match[2], 'hex')];
}

// Lists of bytes by name. coap takes a number for a name as well.
function requestOptions(given, body) {
  const options = { 'Uri-Path': given.url.path, 'Uri-Query': given.url.query };
  if (given['if-match'] !== undefined) options['If-Match'] = [Buffer.from(given['if-match'])];
  if (given.etag !== undefined) options.ETag = [Buffer.from(given.etag)];
  if (given.accept !== undefined) options.Accept = [fromUint(Number(given.accept))];
  if (body) options['Content-Format'] = [fromUint(body.format)];
  Object.assign(options, blockOption(given.block, body));
  for (const [number, value] of given.option.map(extraOption)) {
    const name = Object.keys(NUMBERS).find((key) => NUMBERS[key] === Number(number)) ?? number;
    options[name] = [...options[name] ?? [], value];
  }
  return options;
}

// coap cuts a body into blocks when it finds a Block1, whose first byte it reads.
function blockOption(size, body) {
  const szx = szxOf(Number(size ?? LARGEST_BLOCK));
  if (body && body.bytes.length > 2 ** (szx + 4)) return { Block1: [Buffer.of(szx)] };
  return size === undefined ? {} : { Block2: [fromUint(szx)] };
}

// ---- the answer -------------------------------------------------------------------------

function textOrNull(bytes) {
  try {
    return bytes.length ? utf8.decode(bytes) : null;
  } catch {
    return null;
  }
}

// Undefined when the payload is neither JSON nor CBOR, or broken.
function valueOf(format, bytes) {
  try {
    if (format === FORMAT.JSON) return JSON.parse(bytes.toString());
    return format === FORMAT.CBOR ? cbor.decode(bytes) : undefined;
  } catch {
    return undefined;
  }
}

function describe(code, options, payload, blockTags) {
  const listed = {};
  for (const { name, value } of options) {
    listed[name] = [...listed[name] ?? [], readable(name, value)];
  }
  const tag = firstOf(options, 'ETag');
  return {
    code,
    options: listed,
    etag: tag ? textOrNull(tag) : null,
    payload: textOrNull(payload),
    payload_hex: payload.toString('hex'),
    json: valueOf(firstUint(options, 'Content-Format'), payload),
    block_etags: blockTags.size > 1 ? [...blockTags] : undefined,
  };
}

function print(line) {
  return new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(line)}\n`, resolve);
  });
}

// ---- the exchange -----------------------------------------------------------------------

class Exchange {
  constructor(given) {
    this.given = given;
    this.body = bodyOf(given);
    this.options = requestOptions(given, this.body);
    this.blockTags = new Set();
    this.left = Number(given.observe ?? 0);
    this.printed = Promise.resolve();
    this.modules = loadModules(given.modules);
    this.agent = createAgent(this.modules, dgram.createSocket('udp4'),
      (packet, came) => this.sawPacket(came));
  }

  start() {
    const { given } = this;
    this.parameters = {
      hostname: given.url.hostname, port: given.url.port, method: given.method,
      confirmable: !given.non, options: this.options,
    };
    const observe = given.observe === undefined ? {} : { observe: true };
    setTimeout(() => this.timeOut(), Number(given.timeout) * 1000);
    this.send({ ...this.parameters, ...observe }, (answer) => this.answered(answer))
      .end(this.body?.bytes);
  }

  send(parameters, onAnswer) {
    this.request = this.agent.request(parameters);
    this.request.on('response', onAnswer);
    this.request.on('error', (error) => this.fail(error.message));
    return this.request;
  }

  sawPacket(options) {
    const tag = firstOf(options, 'ETag');
    if (firstOf(options, 'Block2')) this.blockTags.add(tag ? tag.toString('hex') : '');
  }

  report(message, payload) {
    const line = describe(message.code, receivedOptions(message), payload, this.blockTags);
    this.blockTags.clear();
    this.printed = print(line);
  }

  answered(answer) {
    const observed = this.given.observe !== undefined
      && firstOf(receivedOptions(answer), 'Observe') !== undefined;
    if (observed) {
      answer.on('data', (payload) => this.notified(answer, payload));
      return;
    }
    this.report(answer, answer.payload);
    if (this.given.observe !== undefined) this.fail('not observed');
    else if (answer.code === '0.00') this.fail('the server sent a reset');
    else this.end(EXIT.ANSWER);
  }

  notified(stream, payload) {
    if (this.left <= 0) return;
    this.report(stream, payload);
    this.left -= 1;
    if (this.left > 0) return;
    const { token } = this.request._packet;
    stream.close();
    this.send({ ...this.parameters, observe: 1, token }, () => this.end(EXIT.ANSWER)).end();
  }

  timeOut() {
    console.error(`no answer in ${this.given.timeout} s`);
    this.end(EXIT.TIMEOUT);
  }

  fail(text) {
    console.error(text);
    this.end(EXIT.FAILED);
  }

  end(code) {
    this.printed.then(() => setTimeout(() => process.exit(code), LINGER_MS));
  }
}

function main() {
  let exchange;
  try {
    exchange = new Exchange(readArguments());
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(EXIT.USAGE);
  }
  // coap throws where nobody can catch it when a server misbehaves.
  process.on('uncaughtException', (error) => exchange.fail(error.message));
  exchange.start();
}

main();
