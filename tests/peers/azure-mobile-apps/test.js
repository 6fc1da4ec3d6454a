'use strict';
// Self test of the peer: node test.js --modules DIR
// Checks that the published server still behaves as README.md says it does,
// and that each fault does what a test of the agent counts on.

const assert = require('assert');
const { execFileSync, spawn } = require('child_process');
const fs = require('fs');
const http = require('http');
const https = require('https');
const os = require('os');
const path = require('path');
const readline = require('readline');
const { parseArgs } = require('util');

const PAGE_SIZE = 3;
const DEADLINE_MS = 20000;
const BODY_LIMIT = 102400;

// ---- the server under test ------------------------------------------------

function makeCertificates(dir) {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  fs.writeFileSync(path.join(dir, 'leaf.ext'), 'subjectAltName=IP:127.0.0.1\n');
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
    '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=peer test authority');
  for (const name of ['server', 'client']) {
    openssl('req', '-newkey', 'rsa:2048', '-nodes',
      '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key',
      '-CAcreateserial', '-days', '2', '-extfile', 'leaf.ext', '-out', `${name}.pem`);
  }
}

// A check that fails half way leaves its server behind.
const running = new Set();

function startServer(modules, dir, ...extra) {
  const child = spawn(process.execPath, [
    path.join(__dirname, 'server.js'), '--modules', modules, '--data', path.join(dir, 'data'),
    '--cert', path.join(dir, 'server.pem'), '--key', path.join(dir, 'server.key'),
    '--page-size', String(PAGE_SIZE), ...extra], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.lines = [];
  running.add(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`server ended with ${code}`)));
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      child.lines.push(line);
      const [word, url] = line.split(' ');
      child[word] = url;
      if (word === 'listening') resolve(child);
    });
  });
}

function stopServer(child, signal) {
  child.removeAllListeners('exit');
  running.delete(child);
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.kill(signal);
  });
}

// ---- a client ---------------------------------------------------------------

function collect(response, resolve, reject) {
  const chunks = [];
  response.on('data', (chunk) => chunks.push(chunk));
  response.on('error', reject);
  response.on('end', () => {
    const text = Buffer.concat(chunks).toString();
    let json = null;
    try {
      json = JSON.parse(text);
    } catch { /* an HTML page */ }
    resolve({ status: response.statusCode, headers: response.headers, text, json });
  });
}

function send(module, url, options, body) {
  return new Promise((resolve, reject) => {
    const request = module.request(url, options, (res) => collect(res, resolve, reject));
    request.on('error', reject);
    request.end(body);
  });
}

class Client {
  constructor(server, dir) {
    this.server = server;
    this.ca = fs.readFileSync(path.join(dir, 'ca.pem'));
    this.tls = {};
  }

  call(method, target, { body, headers } = {}) {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const all = { 'ZUMO-API-VERSION': '2.0.0', ...headers };
    if (bytes) Object.assign(all, { 'content-type': 'application/json', 'content-length': bytes.length });
    return send(https, this.server.listening + target,
      { method, headers: all, ca: this.ca, agent: false, ...this.tls }, bytes);
  }

  async control(method, target, body) {
    const answer = await send(http, this.server.control + target, { method },
      body && JSON.stringify(body));
    return answer.json;
  }

  insert(row, table = 'readings') {
    return this.call('POST', `/tables/${table}`, { body: row });
  }

  query(options, table = 'readings') {
    const text = Object.entries(options).map(([k, v]) => `${k}=${encodeURIComponent(v)}`);
    return this.call('GET', `/tables/${table}?${text.join('&')}`);
  }

  async ids(options, table) {
    const { status, json } = await this.query(options, table);
    assert.strictEqual(status, 200);
    return json.map((row) => row.id);
  }

  rows(table = 'readings') {
    return this.control('GET', `/rows?table=${table}`);
  }

  fault(spec) {
    return this.control('POST', '/fault', spec);
  }
}

function isCut(promise) {
  return assert.rejects(promise, (error) => /socket hang up|ECONNRESET|aborted/.test(error.message));
}

// ---- the checks ---------------------------------------------------------------

const TIED = '2026-01-01T00:00:00.500Z';

// Seven rows of which three share one updatedAt, as a burst of writes can.
function rowsWithTie() {
  const at = (id, updatedAt, deleted = 0) => ({
    id, sensor: 's', value: 1, createdAt: updatedAt, updatedAt, version: '1', deleted,
  });
  return [at('r1', '2026-01-01T00:00:00.100Z'), at('r2', '2026-01-01T00:00:00.200Z'),
    at('r5', TIED), at('r3', TIED), at('r4', TIED, 1),
    at('r6', '2026-01-01T00:00:00.600Z'), at('r7', '2026-01-01T00:00:00.700Z')];
}

const checks = {
  async 'insert answers 201 with the stored row and a strong ETag'(c) {
    const { status, headers, json } = await c.insert({ id: 'a1', sensor: 's1', value: 1.5 });
    assert.strictEqual(status, 201);
    assert.strictEqual(headers.etag, '"MQ=="');
    assert.deepStrictEqual(Object.keys(json), ['sensor', 'value', 'ts', 'quality', 'id',
      'createdAt', 'updatedAt', 'version', 'deleted']);
    assert.match(json.updatedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.strictEqual(json.ts, null);
  },

  async 'duplicate insert answers 409 with the echo of the request'(c) {
    await c.insert({ id: 'a1', value: 1 });
    const { status, headers, json } = await c.insert({ id: 'a1', value: 2 });
    assert.strictEqual(status, 409);
    assert.deepStrictEqual(json, { id: 'a1', value: 2 });
    assert.match(headers.etag, /^W\//);
    assert.strictEqual((await c.rows())[0].value, 1);
  },

  async 'If-Match on an insert comes back as version in the 409 echo'(c) {
    await c.insert({ id: 'a1', value: 1 });
    const { status, json } = await c.call('POST', '/tables/readings',
      { body: { id: 'a1', value: 2 }, headers: { 'If-Match': '"Nw=="' } });
    assert.strictEqual(status, 409);
    assert.strictEqual(json.version, 'Nw==');
  },

  async 'update changes the named columns, on a match only'(c) {
    await c.insert({ id: 'a1', sensor: 's1', value: 1 });
    const first = await c.call('PATCH', '/tables/readings/a1',
      { body: { value: 2 }, headers: { 'If-Match': '"MQ=="' } });
    assert.strictEqual(first.status, 200);
    assert.strictEqual(first.headers.etag, '"Mg=="');
    assert.strictEqual(first.json.sensor, 's1');
    const stale = await c.call('PATCH', '/tables/readings/a1',
      { body: { value: 3 }, headers: { 'If-Match': '"MQ=="' } });
    assert.strictEqual(stale.status, 412);
    assert.strictEqual(stale.headers.etag, '"Mg=="');
    assert.strictEqual(stale.json.value, 2);
  },

  async 'an explicit null is stored, an empty patch is a server error'(c) {
    await c.insert({ id: 'a1', sensor: 's1' });
    const nulled = await c.call('PATCH', '/tables/readings/a1', { body: { sensor: null } });
    assert.strictEqual(nulled.json.sensor, null);
    assert.strictEqual((await c.call('PATCH', '/tables/readings/a1', { body: {} })).status, 500);
    const onlyId = await c.call('PATCH', '/tables/readings/a1', { body: { id: 'a1' } });
    assert.strictEqual(onlyId.status, 500);
  },

  async 'delete answers 200 with the row, then it is gone but kept'(c) {
    await c.insert({ id: 'a1' });
    const stale = await c.call('DELETE', '/tables/readings/a1', { headers: { 'If-Match': '"OQ=="' } });
    assert.strictEqual(stale.status, 412);
    const gone = await c.call('DELETE', '/tables/readings/a1', { headers: { 'If-Match': '"MQ=="' } });
    assert.strictEqual(gone.status, 200);
    assert.strictEqual(gone.json.deleted, true);
    assert.strictEqual(gone.headers.etag, '"Mg=="');
    for (const [method, suffix] of [['DELETE', ''], ['GET', ''], ['GET', '?__includeDeleted=true']]) {
      assert.strictEqual((await c.call(method, `/tables/readings/a1${suffix}`)).status, 404);
    }
    const patched = await c.call('PATCH', '/tables/readings/a1', { body: { value: 1 } });
    assert.strictEqual(patched.status, 404);
    assert.strictEqual((await c.insert({ id: 'a1' })).status, 409);
    const listed = await c.ids({ $filter: "id eq 'a1'", __includeDeleted: true });
    assert.deepStrictEqual(listed, ['a1']);
    assert.strictEqual((await c.rows())[0].deleted, 1);
  },

  async 'undelete answers 201, also for a row that is not deleted'(c) {
    await c.insert({ id: 'a1', value: 7 });
    await c.call('DELETE', '/tables/readings/a1');
    const undelete = (headers) => c.call('POST', '/tables/readings/a1', { headers });
    assert.strictEqual((await undelete({ 'If-Match': '"MQ=="' })).status, 412);
    const back = await undelete({ 'If-Match': '"Mg=="' });
    assert.strictEqual(back.status, 201);
    assert.strictEqual(back.json.deleted, false);
    assert.strictEqual(back.json.value, 7);
    assert.strictEqual((await undelete()).status, 201);
    assert.strictEqual((await c.call('POST', '/tables/readings/none')).status, 404);
  },

  async 'incremental pull walks the pages, tombstones included'(c) {
    await c.control('POST', '/rows?table=readings', rowsWithTie());
    const seen = [];
    for (let skip = 0; ; skip += PAGE_SIZE) {
      const page = await c.ids({
        $filter: "(updatedAt ge datetimeoffset'2026-01-01T00:00:00.2000000+00:00')",
        $orderby: 'updatedAt,id', $top: PAGE_SIZE, $skip: skip, __includeDeleted: true });
      if (page.length === 0) break;
      seen.push(...page);
    }
    assert.deepStrictEqual(seen, ['r2', 'r3', 'r4', 'r5', 'r6', 'r7']);
  },

  async 'keyset filters work on updatedAt and id'(c) {
    await c.control('POST', '/rows?table=readings', rowsWithTie());
    const keyset = (filter, order) => c.ids(
      { $filter: filter, $orderby: order, $top: 10, __includeDeleted: true });
    const tied = `datetimeoffset'${TIED}'`;
    assert.deepStrictEqual(await keyset(`updatedAt ge datetimeoffset'${TIED}' and updatedAt lt `
      + "datetimeoffset'2026-01-01T00:00:00.501Z' and id gt 'r3'", 'id'), ['r4', 'r5']);
    assert.deepStrictEqual(await keyset(`updatedAt eq ${tied} and id gt 'r3'`, 'id'), ['r4', 'r5']);
    assert.deepStrictEqual(await keyset(
      `(updatedAt gt ${tied}) or ((updatedAt eq ${tied}) and (id gt 'r4'))`, 'updatedAt,id'),
    ['r5', 'r6', 'r7']);
    // Seven decimals are cut to three, so a token between two values acts as the lower.
    assert.deepStrictEqual(await keyset(
      "updatedAt ge datetimeoffset'2026-01-01T00:00:00.6009999+00:00'", 'updatedAt'), ['r6', 'r7']);
  },

  async 'page size, $top limits and the broken Link'(c) {
    await c.control('POST', '/rows?table=readings', rowsWithTie());
    const full = await c.query({ $orderby: 'updatedAt,id' });
    assert.strictEqual(full.json.length, PAGE_SIZE);
    assert.match(full.headers.link, /^https:\/\/127\.0\.0\.1\/\?.*; rel=next$/);
    assert.strictEqual((await c.query({ $top: 1001 })).status, 400);
    const counted = await c.query({ $inlinecount: 'allpages', $top: 2 });
    assert.strictEqual(counted.json.count, 6);
    assert.deepStrictEqual(await c.ids({ $skip: 100 }), []);
  },

  async 'bodies above the limit answer 400'(c) {
    const sized = (id, size) => {
      const empty = JSON.stringify({ id, sensor: '' }).length;
      return { id, sensor: 'x'.repeat(size - empty) };
    };
    assert.strictEqual((await c.insert(sized('a1', BODY_LIMIT))).status, 201);
    const refused = await c.insert(sized('a2', BODY_LIMIT + 1));
    assert.strictEqual(refused.status, 400);
    assert.deepStrictEqual(refused.json, { error: 'request entity too large' });
  },

  async 'other tables grow their columns; unknown ones answer 404'(c) {
    const { json } = await c.insert({ id: 'e1', level: 3, note: 'x', on: true }, 'events');
    assert.strictEqual(json.level, 3);
    assert.strictEqual(json.on, true);
    assert.strictEqual((await c.insert({ id: 'e1' }, 'unknown')).status, 404);
  },

  async 'cut_after_commit stores the row and closes without an answer'(c) {
    await c.fault({ cut_after_commit: 1 });
    assert.strictEqual((await c.query({ $top: 1 })).status, 200);
    await isCut(c.insert({ id: 'a1', value: 1 }));
    assert.strictEqual((await c.rows()).length, 1);
    assert.strictEqual((await c.insert({ id: 'a1', value: 1 })).status, 409);
    const stats = await c.control('GET', '/stats');
    assert.strictEqual(stats.faults.cut_after_commit, 1);
    assert.strictEqual(stats.requests.POST, 2);
    assert.strictEqual(stats.paths['POST /tables/readings id=a1'], 2);
    assert.deepStrictEqual(stats.last.map((r) => [r.method, r.status, r.fault]),
      [['GET', 200, null], ['POST', 201, 'cut_after_commit'], ['POST', 409, null]]);
    assert.strictEqual(stats.last[1].headers['content-length'], '21');
  },

  async 'cut_before stores nothing'(c) {
    await c.fault({ cut_before: 1, match: 'POST /tables/readings' });
    await isCut(c.insert({ id: 'a1' }));
    assert.deepStrictEqual(await c.rows(), []);
    assert.strictEqual((await c.insert({ id: 'a1' })).status, 201);
  },

  async 'skip lets requests pass first'(c) {
    await c.fault({ cut_before: 1, match: 'POST', skip: 2 });
    await c.insert({ id: 'a1' });
    await c.insert({ id: 'a2' });
    await isCut(c.insert({ id: 'a3' }));
    assert.strictEqual((await c.rows()).length, 2);
  },

  async 'canned answers keep the request from the app'(c) {
    await c.fault({ answer: { status: 429, headers: { 'Retry-After': '7' }, body: '' },
      count: 2, match: 'POST /tables' });
    await c.fault({ answer: { status: 200, headers: { 'Content-Type': 'text/html' },
      body: '<p>log in</p>' }, match: 'GET' });
    const limited = await c.insert({ id: 'a1' });
    assert.strictEqual(limited.status, 429);
    assert.strictEqual(limited.headers['retry-after'], '7');
    assert.strictEqual((await c.query({ $top: 1 })).text, '<p>log in</p>');
    assert.strictEqual((await c.insert({ id: 'a1' })).status, 429);
    assert.strictEqual((await c.insert({ id: 'a1' })).status, 201);
    const stats = await c.control('GET', '/stats');
    assert.strictEqual(stats.paths['POST /tables/readings id=a1'], 3);
    assert.strictEqual(stats.faults.answer, 3);
  },

  async 'truncate cuts the answer in mid body'(c) {
    await c.fault({ truncate: 1, match: 'GET' });
    await isCut(c.query({ $top: 1 }));
    await c.fault({ truncate: 1 });
    await isCut(c.insert({ id: 'a1' }));
    assert.strictEqual((await c.rows()).length, 1);
  },

  async 'delay_ms holds the answer, delay_before_ms the request'(c) {
    const timed = async (spec, id) => {
      await c.fault(spec);
      const answer = c.insert({ id });
      await new Promise((resolve) => setTimeout(resolve, 200));
      const stored = (await c.rows()).some((row) => row.id === id);
      assert.strictEqual((await answer).status, 201);
      return stored;
    };
    assert.strictEqual(await timed({ delay_ms: 600 }, 'a1'), true);
    assert.strictEqual(await timed({ delay_before_ms: 600 }, 'a2'), false);
  },

  async 'a misspelt fault is refused'(c) {
    assert.match((await c.fault({ cut_aftercommit: 1 })).error, /unknown fault/);
    assert.deepStrictEqual((await c.control('GET', '/fault')).armed, []);
  },
};

async function checkRestart(modules, dir) {
  const first = await startServer(modules, dir);
  const client = new Client(first, dir);
  await client.insert({ id: 'kept' });
  assert.deepStrictEqual(first.lines.map((line) => line.split(' ')[0]), ['control', 'listening']);
  assert.strictEqual(await stopServer(first, 'SIGTERM'), 0);
  client.server = await startServer(modules, dir);
  assert.strictEqual((await client.call('GET', '/tables/readings/kept')).status, 200);
  await client.insert({ id: 'kept2' });
  await stopServer(client.server, 'SIGKILL');
  client.server = await startServer(modules, dir);
  assert.strictEqual((await client.rows()).length, 2);
  await stopServer(client.server, 'SIGTERM');
}

async function checkClientCertificate(modules, dir) {
  const server = await startServer(modules, dir, '--ca', path.join(dir, 'ca.pem'));
  const client = new Client(server, dir);
  await assert.rejects(client.query({ $top: 1 }));
  client.tls = { cert: fs.readFileSync(path.join(dir, 'client.pem')),
    key: fs.readFileSync(path.join(dir, 'client.key')) };
  assert.strictEqual((await client.query({ $top: 1 })).status, 200);
  assert.strictEqual((await client.control('GET', '/stats')).tls_errors, 1);
  await stopServer(server, 'SIGTERM');
}

// ---- running ------------------------------------------------------------------

// Each check starts from empty tables, on one server, to keep the test short.
async function clean(client) {
  await client.control('DELETE', '/fault');
  await client.control('DELETE', '/rows?table=readings');
  await client.control('DELETE', '/stats');
}

async function attempt(name, run, tally) {
  let timer;
  const deadline = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('took too long')), DEADLINE_MS);
  });
  try {
    await Promise.race([run(), deadline]);
    tally.passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    tally.failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  } finally {
    clearTimeout(timer);
  }
}

async function runAll(modules, dir) {
  const tally = { passed: 0, failed: 0 };
  const subdir = (name) => {
    const copy = path.join(dir, name);
    fs.cpSync(path.join(dir, 'tls'), copy, { recursive: true });
    return copy;
  };
  const server = await startServer(modules, subdir('tables'));
  const client = new Client(server, path.join(dir, 'tls'));
  for (const [name, check] of Object.entries(checks)) {
    await attempt(name, async () => {
      await clean(client);
      await check(client);
    }, tally);
  }
  await stopServer(server, 'SIGTERM');
  await attempt('rows outlive a stop and a kill', () => checkRestart(modules, subdir('restart')), tally);
  await attempt('--ca asks for a client certificate',
    () => checkClientCertificate(modules, subdir('mutual')), tally);
  return tally;
}

async function main() {
  const { values } = parseArgs({ options: { modules: { type: 'string' } } });
  if (!values.modules) throw new Error('usage: node test.js --modules DIR');
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'peer-test-'));
  try {
    fs.mkdirSync(path.join(dir, 'tls'));
    makeCertificates(path.join(dir, 'tls'));
    const { passed, failed } = await runAll(values.modules, dir);
    console.log(`${passed} passed, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    for (const child of running) await stopServer(child, 'SIGKILL');
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
