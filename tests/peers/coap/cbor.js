// SPDX-License-Identifier: Apache-2.0
'use strict';
// CBOR (RFC 8949) for what JSON can say: text keys, no tags, no byte strings, no
// indefinite lengths. Whole numbers become integers, all others 64-bit floats.

const MAX_DEPTH = 16;
const [UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG] = [0, 1, 2, 3, 4, 5, 6];
const FALSE = 20;
const TRUE = 21;
const NULL = 22;

// ---- encode -------------------------------------------------------------------

function head(major, value) {
  const first = major << 5;
  if (value < 24) return Buffer.of(first | value);
  if (value < 0x100) return Buffer.of(first | 24, value);
  const width = value < 0x10000 ? 2 : value < 0x100000000 ? 4 : 8;
  const bytes = Buffer.alloc(1 + width);
  bytes[0] = first | { 2: 25, 4: 26, 8: 27 }[width];
  if (width === 8) bytes.writeBigUInt64BE(BigInt(value), 1);
  else bytes.writeUIntBE(value, 1, width);
  return bytes;
}

function encodeNumber(value) {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    return value < 0 ? head(NEGATIVE, -1 - value) : head(UNSIGNED, value);
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xfb;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function encodeText(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([head(TEXT, bytes.length), bytes]);
}

function encode(value) {
  if (value === null) return Buffer.of(0xe0 | NULL);
  if (typeof value === 'boolean') return Buffer.of(0xe0 | (value ? TRUE : FALSE));
  if (typeof value === 'number') return encodeNumber(value);
  if (typeof value === 'string') return encodeText(value);
  if (Array.isArray(value)) {
    return Buffer.concat([head(ARRAY, value.length), ...value.map(encode)]);
  }
  const members = Object.entries(value);
  return Buffer.concat([head(MAP, members.length),
    ...members.flatMap(([key, member]) => [encodeText(key), encode(member)])]);
}

// ---- decode -------------------------------------------------------------------

function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(count) {
    if (count > this.bytes.length - this.at) throw new Error('CBOR ends early');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  argument(info) {
    if (info < 24) return info;
    if (info > 27) throw new Error('CBOR of indefinite length');
    const bytes = this.take(2 ** (info - 24));
    return bytes.length === 8 ? Number(bytes.readBigUInt64BE()) : bytes.readUIntBE(0, bytes.length);
  }

  text(length) {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(length));
  }

  simple(info) {
    switch (info) {
      case FALSE: return false;
      case TRUE: return true;
      case NULL: return null;
      case 25: return halfToNumber(this.take(2).readUInt16BE());
      case 26: return this.take(4).readFloatBE();
      case 27: return this.take(8).readDoubleBE();
      default: throw new Error(`CBOR simple value ${info}`);
    }
  }

  array(count, depth) {
    const values = [];
    while (values.length < count) values.push(this.value(depth));
    return values;
  }

  map(count, depth) {
    const members = new Map();
    for (let i = 0; i < count; i += 1) {
      const key = this.value(depth);
      if (typeof key !== 'string') throw new Error('CBOR key is not text');
      if (members.has(key)) throw new Error(`CBOR key ${key} twice`);
      members.set(key, this.value(depth));
    }
    return Object.fromEntries(members);
  }

  value(depth = 0) {
    if (depth > MAX_DEPTH) throw new Error('CBOR nests too deep');
    const first = this.take(1)[0];
    const major = first >> 5;
    const info = first & 31;
    if (major > TAG) return this.simple(info);
    const argument = this.argument(info);
    switch (major) {
      case UNSIGNED: return argument;
      case NEGATIVE: return -1 - argument;
      case TEXT: return this.text(argument);
      case ARRAY: return this.array(argument, depth + 1);
      case MAP: return this.map(argument, depth + 1);
      default: throw new Error(major === BYTES ? 'CBOR byte string' : 'CBOR tag');
    }
  }
}

function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (reader.at !== bytes.length) throw new Error('bytes after the CBOR item');
  return value;
}

module.exports = { encode, decode };
