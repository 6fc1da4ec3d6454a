'use strict';
// Faults that a test arms over the control channel, and the request handler
// that applies them in front of the app.

const zlib = require('zlib');

const WRITES = ['POST', 'PATCH', 'PUT', 'DELETE'];
// The first four decide what becomes of a request; a request meets one of them
// at most. The delays add to it.
const ENDINGS = ['cut_before', 'answer', 'cut_after_commit', 'truncate'];
const DELAYS = ['delay_before_ms', 'delay_ms'];
const QUALIFIERS = ['count', 'match', 'skip'];

function isCount(value) {
  return Number.isInteger(value) && value >= 0;
}

function checkAnswer(answer) {
  const { status } = answer;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new Error('answer.status must be 200..599');
  }
}

// A misspelt fault must fail the test that arms it, not silently do nothing.
function checkSpec(spec) {
  for (const key of Object.keys(spec)) {
    if (![...ENDINGS, ...DELAYS, ...QUALIFIERS].includes(key)) {
      throw new Error(`unknown fault '${key}'`);
    }
    if (key === 'answer') checkAnswer(spec.answer);
    else if (key !== 'match' && !isCount(spec[key])) {
      throw new Error(`'${key}' must be a whole number`);
    }
  }
}

function toRule(kind, spec) {
  const counted = ['cut_before', 'cut_after_commit', 'truncate'].includes(kind);
  return {
    kind,
    value: spec[kind],
    left: counted ? spec[kind] : spec.count === undefined ? 1 : spec.count,
    skip: spec.skip || 0,
    match: spec.match || '',
  };
}

function matches(rule, req) {
  if (rule.kind === 'cut_after_commit' && !WRITES.includes(req.method)) return false;
  return `${req.method} ${req.url}`.startsWith(rule.match);
}

class FaultPlan {
  constructor() {
    this.rules = [];
  }

  // Takes effect for requests whose headers arrive after the call.
  arm(spec) {
    checkSpec(spec);
    const kinds = [...ENDINGS, ...DELAYS].filter((kind) => kind in spec);
    if (kinds.length === 0) throw new Error('no fault named');
    this.rules.push(...kinds.map((kind) => toRule(kind, spec)));
  }

  clear() {
    this.rules = [];
  }

  // What to do with this request; uses up one of each rule that applies.
  take(req) {
    const plan = { ending: null, answer: null, delay_before_ms: 0, delay_ms: 0 };
    for (const rule of this.rules) this.#apply(rule, req, plan);
    this.rules = this.rules.filter((rule) => rule.left > 0);
    return plan;
  }

  #apply(rule, req, plan) {
    const isEnding = ENDINGS.includes(rule.kind);
    if (rule.left === 0 || !matches(rule, req) || (isEnding && plan.ending)) return;
    if (rule.skip > 0) {
      rule.skip -= 1;
      return;
    }
    rule.left -= 1;
    if (!isEnding) plan[rule.kind] += rule.value;
    else plan.ending = rule.kind;
    if (rule.kind === 'answer') plan.answer = rule.value;
  }
}

function sleep(ms) {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined;
}

async function readBody(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// The id of the row in a body that the app never gets to see.
function idInBody(req, body) {
  try {
    const text = req.headers['content-encoding'] === 'gzip' ? zlib.gunzipSync(body) : body;
    return JSON.parse(text).id ?? null;
  } catch {
    return null;
  }
}

function idFromApp(req) {
  return req.azureMobile?.item?.id ?? null;
}

// The app answers with one write at the end. Holding that write back tells when
// the row is committed, and leaves the fate of the answer open.
function onAnswer(res, decide) {
  const chunks = [];
  const end = res.end.bind(res);
  res.write = (chunk, encoding) => {
    chunks.push(Buffer.from(chunk, typeof encoding === 'string' ? encoding : undefined));
    return true;
  };
  res.end = (chunk, encoding) => {
    if (chunk && typeof chunk !== 'function') res.write(chunk, encoding);
    delete res.write;
    delete res.end;
    decide(Buffer.concat(chunks), end);
    return res;
  };
}

// The announced length stays that of the whole answer.
function sendHalf(req, res, body) {
  if (!res.hasHeader('content-length')) res.setHeader('content-length', body.length);
  res.write(body.subarray(0, body.length >> 1), () => req.socket.destroy());
  if (body.length < 2) res.flushHeaders();
}

async function cannedAnswer(req, res, { status, headers = {}, body = '' }) {
  const id = idInBody(req, await readBody(req));
  const bytes = Buffer.from(body);
  res.writeHead(status, { 'content-length': bytes.length, ...headers });
  res.end(bytes);
  return id;
}

// Returns the handler for the HTTPS server: journal, faults, then the app.
function faultyHandler(app, plan, journal) {
  function passToApp(req, res, entry, todo) {
    onAnswer(res, async (body, end) => {
      journal.settled(entry, { status: res.statusCode, fault: todo.ending, id: idFromApp(req) });
      await sleep(todo.delay_ms);
      if (todo.ending === 'cut_after_commit') req.socket.destroy();
      else if (todo.ending === 'truncate') sendHalf(req, res, body);
      else end(body);
    });
    app(req, res);
  }

  async function handle(req, res) {
    const entry = journal.begun(req);
    const todo = plan.take(req);
    if (todo.ending === 'cut_before') {
      journal.settled(entry, { fault: 'cut_before' });
      req.socket.destroy();
      return;
    }
    await sleep(todo.delay_before_ms);
    if (todo.ending !== 'answer') {
      passToApp(req, res, entry, todo);
      return;
    }
    const id = await cannedAnswer(req, res, todo.answer);
    journal.settled(entry, { status: todo.answer.status, fault: 'answer', id });
  }

  // A client that leaves in mid body is an ordinary event here.
  return (req, res) => handle(req, res).catch(() => req.socket.destroy());
}

module.exports = { FaultPlan, faultyHandler, readBody };
