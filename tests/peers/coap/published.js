// SPDX-License-Identifier: Apache-2.0
'use strict';
// The published server and agent of the package coap 1.5.0, each with the few
// methods overridden without which they cannot talk to other implementations.
// README.md has the reasons. Both overrides sit in front of _handle(), which gets
// every parsed datagram.

const { copyOf, firstOf, toUint } = require('./options');

const EMPTY = '0.00';
// coap decodes the options of a message in place, ETags as UTF-8. Here is what came.
const asTheyCame = new WeakMap();

function receivedOptions(message) {
  return asTheyCame.get(message.options) ?? [];
}

function isObserve(packet) {
  const observe = firstOf(packet.options, 'Observe');
  return packet.code === '0.01' && observe !== undefined && toUint(observe) === 0;
}

// coap deals with messages, retransmission and notifications; it is not shown the
// options of blocks, nor Observe where `observable(options)` is false.
function createServer({ coap, packets }, options, observable) {
  class Server extends coap.Server {
    _handle(packet, from) {
      const request = packet.code[0] === '0' && packet.code !== EMPTY;
      if (request) this.hideOptions(packet);
      const ping = packet.code === EMPTY && packet.confirmable;
      if (ping) this.sendReset(packet, from);
      else super._handle(packet, from);
    }

    hideOptions(packet) {
      const came = packet.options;
      packet.options = [];
      if (isObserve({ code: packet.code, options: came }) && observable(came)) {
        packet.options.push({ name: 'Observe', value: Buffer.alloc(0) });
      }
      // Without it coap answers a FETCH by itself, and without the token.
      if (packet.code === '0.05') {
        packet.options.push({ name: 'Content-Format', value: Buffer.of(60) });
      }
      asTheyCame.set(packet.options, came);
    }

    sendReset(packet, from) {
      const reset = packets.generate({ code: EMPTY, reset: true, messageId: packet.messageId });
      this._sock.send(reset, from.port, from.address);
    }
  }
  return new Server({ type: 'udp4', ...options });
}

// coap decides by the size of a payload whether it is cut into blocks and gets an
// ETag; the method of the base class sends what it is given.
function sendMessage({ coap }, response, { code, options, payload }) {
  response.code = code;
  for (const name of new Set(options.map((option) => option.name))) {
    const values = options.filter((option) => option.name === name).map(({ value }) => value);
    response.setOption(name, values);
  }
  coap.OutgoingMessage.prototype.end.call(response, payload);
}

// `onPacket(packet, options)` sees every answer, also those to single blocks.
function createAgent({ coap }, socket, onPacket) {
  class Agent extends coap.Agent {
    _handle(packet, from, local) {
      const came = copyOf(packet.options);
      asTheyCame.set(packet.options, came);
      onPacket(packet, came);
      const refused = /^[45]/.test(packet.code);
      const kept = packet.options.filter(({ name }) => !(refused && name === 'Block1'));
      for (const option of kept) {
        if (option.name === 'Block1' && option.value.length === 0) option.value = Buffer.of(0);
      }
      packet.options = kept;
      asTheyCame.set(kept, came);
      super._handle(packet, from, local);
    }
  }
  return new Agent({ socket });
}

module.exports = { createServer, createAgent, sendMessage, receivedOptions };
