'use strict';
// Counts what reached the server, so that a test can count re-sends.

const KEPT_REQUESTS = 200;
const KEPT_HEADERS = [
  'content-length', 'content-type', 'content-encoding', 'accept-encoding', 'if-match',
  'zumo-api-version', 'x-zumo-auth', 'authorization', 'user-agent', 'upload-complete',
];

function bump(counts, key) {
  counts[key] = (counts[key] || 0) + 1;
}

function pathOf(url) {
  return url.split('?', 1)[0];
}

function keptHeaders(req) {
  const kept = {};
  for (const name of KEPT_HEADERS) {
    if (req.headers[name] !== undefined) kept[name] = req.headers[name];
  }
  return kept;
}

class Journal {
  constructor() {
    this.clear();
  }

  clear() {
    this.counts = {
      connections: 0, tls_errors: 0, total: 0, requests: {}, paths: {}, answers: {}, faults: {},
    };
    this.last = [];
  }

  connected() {
    this.counts.connections += 1;
  }

  tlsFailed() {
    this.counts.tls_errors += 1;
  }

  // Call when the headers are in. The entry is completed by settled().
  begun(req) {
    const entry = {
      n: ++this.counts.total, at: Date.now(), method: req.method, url: req.url,
      headers: keptHeaders(req), id: null, status: null, fault: null,
    };
    bump(this.counts.requests, req.method);
    bump(this.counts.paths, `${req.method} ${pathOf(req.url)}`);
    this.last.push(entry);
    if (this.last.length > KEPT_REQUESTS) this.last.shift();
    return entry;
  }

  // `id` is the one in the body: an insert has it nowhere else.
  settled(entry, { status = null, fault = null, id = null }) {
    Object.assign(entry, { status, fault, id });
    if (entry.method === 'POST' && id !== null) {
      bump(this.counts.paths, `POST ${pathOf(entry.url)} id=${id}`);
    }
    if (status !== null) bump(this.counts.answers, String(status));
    if (fault !== null) bump(this.counts.faults, fault);
  }

  report() {
    return { ...this.counts, last: this.last };
  }
}

module.exports = { Journal };
