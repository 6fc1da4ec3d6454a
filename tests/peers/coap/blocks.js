// SPDX-License-Identifier: Apache-2.0
'use strict';
// Block1 and Block2 of a server (RFC 7959), for clients that give every block a
// token of its own. One body at a time from one peer to one resource.

const { createHash } = require('crypto');
const {
  LARGEST_SZX, firstOf, firstUint, fromBlock, fromUint, sizeOf, toBlock,
} = require('./options');
const { MAX_BODY, refusalAnswer } = require('./service');
const { Refusal } = require('./refusal');

const MAX_KEPT = 32;
const SAME_RESOURCE = new Set(['Uri-Path', 'Uri-Query', 'Accept']);

// What makes two messages blocks of one exchange.
function exchangeKey(peer, request) {
  const parts = request.options.filter(({ name }) => SAME_RESOURCE.has(name))
    .map(({ name, value }) => `${name}=${value.toString('hex')}`);
  return [peer, request.code, ...parts].join(' ');
}

// The block that an option of a message names, undefined when there is none.
function blockOf(options, name) {
  const bytes = firstOf(options, name);
  if (!bytes) return undefined;
  const block = toBlock(bytes);
  if (!block) throw new Refusal('4.00', `${name} is not a block`);
  return block;
}

// The oldest entry makes room.
function keep(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_KEPT) map.delete(map.keys().next().value);
}

// ---- bodies that come up ------------------------------------------------------------

class Uploads {
  constructor() {
    this.parts = new Map();
  }

  // The body when it is whole, else undefined: then the block is to be acknowledged.
  take(key, block, options, payload) {
    const size = sizeOf(block.szx);
    const from = block.num * size;
    if (Math.max(firstUint(options, 'Size1') ?? 0, from + payload.length) > MAX_BODY) {
      this.parts.delete(key);
      throw new Refusal('4.13', 'a body has 1 MiB at most');
    }
    if (payload.length > size || (block.more && payload.length < size)) {
      throw new Refusal('4.00', 'the block has another size than its option says');
    }
    if (block.num === 0) keep(this.parts, key, { length: 0, chunks: [] });
    const part = this.parts.get(key);
    if (!part || from > part.length) throw new Refusal('4.08', 'a block is missing');
    if (from === part.length) {
      part.chunks.push(payload);
      part.length += payload.length;
    }
    if (block.more) return undefined;
    this.parts.delete(key);
    return Buffer.concat(part.chunks);
  }
}

// ---- bodies that go down ------------------------------------------------------------

// Answers that a client fetches the rest of, as they were when it began.
class Downloads {
  constructor() {
    this.answers = new Map();
  }

  keep(key, answer) {
    keep(this.answers, key, answer);
  }

  find(key) {
    return this.answers.get(key);
  }
}

// A row has its version; a list in several blocks needs something to compare too.
function tagOf(answer) {
  return answer.etag ?? createHash('sha256').update(answer.payload).digest().subarray(0, 4);
}

// The message for one block of an answer, or for all of it when it is small.
function messageOf(answer, wanted, freshTag) {
  const { num, szx } = wanted ?? { num: 0, szx: LARGEST_SZX };
  const size = sizeOf(szx);
  const { payload } = answer;
  const options = [...answer.options];
  if (payload.length <= size && num === 0) {
    if (answer.etag) options.push({ name: 'ETag', value: answer.etag });
    return { code: answer.code, options, payload };
  }
  const from = num * size;
  if (from >= payload.length) throw new Refusal('4.00', 'there is no such block');
  const more = from + size < payload.length;
  options.push({ name: 'Block2', value: fromBlock({ num, more, szx }) });
  options.push({ name: 'ETag', value: freshTag ? freshTag() : tagOf(answer) });
  if (num === 0) options.push({ name: 'Size2', value: fromUint(payload.length) });
  return { code: answer.code, options, payload: payload.subarray(from, from + size) };
}

// ---- both ---------------------------------------------------------------------------

// Turns answers to whole requests into answers to messages.
class Blockwise {
  constructor(answerTo, freshTag) {
    this.answerTo = answerTo;
    this.freshTag = freshTag;
    this.uploads = new Uploads();
    this.downloads = new Downloads();
  }

  // request: {code, options, payload} of one message.
  respond(peer, request) {
    try {
      return this.tryToRespond(exchangeKey(peer, request), request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return this.refuse(error, request);
    }
  }

  refuse(refusal, request) {
    const message = messageOf(refusalAnswer(refusal));
    const block1 = firstOf(request.options, 'Block1');
    if (block1 && toBlock(block1)) message.options.push({ name: 'Block1', value: block1 });
    if (refusal.code === '4.13') message.options.push({ name: 'Size1', value: fromUint(MAX_BODY) });
    return message;
  }

  tryToRespond(key, request) {
    const up = blockOf(request.options, 'Block1');
    const down = blockOf(request.options, 'Block2');
    if (down?.num > 0) return messageOf(this.continued(key, request), down, this.freshTag);
    let body = request.payload;
    if (up) {
      body = this.uploads.take(key, up, request.options, request.payload);
      const block1 = { name: 'Block1', value: fromBlock(up) };
      if (!body) return { code: '2.31', options: [block1], payload: Buffer.alloc(0) };
      const message = this.first(key, { ...request, body }, down);
      message.options.push(block1);
      return message;
    }
    return this.first(key, { ...request, body }, down);
  }

  first(key, request, wanted) {
    const answer = this.answerTo(request);
    const message = messageOf(answer, wanted, this.freshTag);
    if (firstOf(message.options, 'Block2')) this.downloads.keep(key, answer);
    return message;
  }

  // Only reading may be done a second time for the sake of a later block.
  continued(key, request) {
    const answer = this.downloads.find(key);
    if (answer) return answer;
    if (request.code !== '0.01') throw new Refusal('4.08', 'begin with the first block');
    return this.answerTo({ ...request, body: request.payload });
  }
}

module.exports = { Blockwise };
