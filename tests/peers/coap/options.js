// SPDX-License-Identifier: Apache-2.0
'use strict';
// CoAP options as coap-packet gives and takes them: a list of {name, value},
// value a Buffer; an option that coap-packet has no name for is named by number.

const NUMBERS = {
  'If-Match': 1, 'Uri-Host': 3, ETag: 4, 'If-None-Match': 5, Observe: 6, 'Uri-Port': 7,
  'Location-Path': 8, OSCORE: 9, 'Uri-Path': 11, 'Content-Format': 12, 'Max-Age': 14,
  'Uri-Query': 15, 'Hop-Limit': 16, Accept: 17, 'Q-Block1': 19, 'Location-Query': 20,
  Block2: 23, Block1: 27, Size2: 28, 'Q-Block2': 31, 'Proxy-Uri': 35, 'Proxy-Scheme': 39,
  Size1: 60, 'No-Response': 258,
};
const UINTS = new Set(['Content-Format', 'Accept', 'Max-Age', 'Observe', 'Uri-Port', 'Size1',
  'Size2', 'Hop-Limit']);
const TEXTS = new Set(['Uri-Host', 'Uri-Path', 'Uri-Query', 'Location-Path', 'Location-Query',
  'Proxy-Uri', 'Proxy-Scheme']);
const BLOCKS = new Set(['Block1', 'Block2', 'Q-Block1', 'Q-Block2']);
const LARGEST_SZX = 6;

const FORMAT = { TEXT: 0, JSON: 50, CBOR: 60 };

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// Shortest form, 0 is no bytes at all: RFC 7252 3.2.
function fromUint(value) {
  const bytes = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from(bytes);
}

function toUint(bytes) {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

function sizeOf(szx) {
  return 2 ** (szx + 4);
}

function szxOf(size) {
  const szx = Math.log2(size) - 4;
  if (!Number.isInteger(szx) || szx < 0 || szx > LARGEST_SZX) {
    throw new Error(`a block has 16, 32, 64, 128, 256, 512 or 1024 bytes, not ${size}`);
  }
  return szx;
}

// Undefined when it is not a block option: size exponent 7, more than 3 bytes.
function toBlock(bytes) {
  const value = toUint(bytes);
  const szx = value % 8;
  if (bytes.length > 3 || szx > LARGEST_SZX) return undefined;
  return { num: Math.floor(value / 16), more: (value & 8) !== 0, szx };
}

function fromBlock({ num, more, szx }) {
  return fromUint(num * 16 + (more ? 8 : 0) + szx);
}

function valuesOf(options, name) {
  return options.filter((option) => option.name === name).map((option) => option.value);
}

function firstOf(options, name) {
  return valuesOf(options, name)[0];
}

function firstUint(options, name) {
  const bytes = firstOf(options, name);
  return bytes && toUint(bytes);
}

// The form in which client.js prints a value.
function readable(name, bytes) {
  if (UINTS.has(name)) return toUint(bytes);
  if (TEXTS.has(name)) return bytes.toString();
  if (BLOCKS.has(name) && toBlock(bytes)) {
    const { num, more, szx } = toBlock(bytes);
    return `${num}/${more ? 1 : 0}/${sizeOf(szx)}`;
  }
  return bytes.toString('hex');
}

function copyOf(options) {
  return options.map(({ name, value }) => ({ name, value }));
}

module.exports = {
  NUMBERS, FORMAT, LARGEST_SZX, utf8, fromUint, toUint, sizeOf, szxOf, toBlock, fromBlock, valuesOf,
  firstOf, firstUint, readable, copyOf,
};
