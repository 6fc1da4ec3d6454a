// SPDX-License-Identifier: Apache-2.0
'use strict';

// An answer that is not a success; with a row, the row is what the client gets.
class Refusal extends Error {
  constructor(code, text, row) {
    super(text);
    this.code = code;
    this.row = row;
  }
}

module.exports = { Refusal };
