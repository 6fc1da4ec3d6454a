// SPDX-License-Identifier: Apache-2.0
'use strict';
// Uploads one file with the published tus-js-client, in the IETF draft's protocol:
//   node upload.js --modules DIR --to URL --file FILE --ca F --cert F --key F [options]
// README.md has the options. Each line of the output is a JSON object; the last has "end".

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');
const { parseArgs } = require('util');

const { values } = parseArgs({
  options: {
    modules: { type: 'string' }, to: { type: 'string' }, file: { type: 'string' },
    ca: { type: 'string' }, cert: { type: 'string' }, key: { type: 'string' },
    protocol: { type: 'string', default: 'ietf-draft-05' },
    chunk: { type: 'string' }, store: { type: 'string' }, 'upload-url': { type: 'string' },
    'abort-at': { type: 'string' }, retry: { type: 'boolean', default: false },
    deferred: { type: 'boolean', default: false },
  },
});

const tus = createRequire(path.join(path.resolve(values.modules), 'index.js'))('tus-js-client');
const requests = [];

// A pipe takes 64 KiB at once.
function say(line) {
  let rest = Buffer.from(`${JSON.stringify(line)}\n`);
  while (rest.length > 0) rest = rest.subarray(fs.writeSync(1, rest));
}

function end(line) {
  say({ ...line, requests });
  process.exit(0);
}

const read = (name) => fs.readFileSync(values[name]);
const abortAt = values['abort-at'] ? Number(values['abort-at']) : Infinity;
const stack = { ca: read('ca'), cert: read('cert'), key: read('key'), rejectUnauthorized: true };

let aborted = false;

async function abort(sent) {
  aborted = true;
  await upload.abort();
  end({ end: 'aborted', sent, url: upload.url });
}

function abortIfDue(sent) {
  if (sent >= abortAt && !aborted) abort(sent);
}

const options = {
  endpoint: values.to,
  protocol: values.protocol,
  chunkSize: values.chunk ? Number(values.chunk) : Infinity,
  headers: { 'Content-Type': 'application/json', 'ZUMO-API-VERSION': '3.0.0' },
  uploadUrl: values['upload-url'],
  uploadLengthDeferred: values.deferred,
  retryDelays: values.retry ? [100, 300, 500, 1000, 1000, 2000, 2000] : null,
  httpStack: new tus.DefaultHttpStack(stack),
  removeFingerprintOnSuccess: true,
  onAfterResponse: (request, response) => {
    requests.push([request.getMethod(), response.getStatus()]);
  },
  onProgress: abortIfDue,
  onChunkComplete: (size, accepted) => {
    say({ accepted });
    abortIfDue(accepted);
  },
  onSuccess: ({ lastResponse }) => end({
    end: 'done', url: upload.url, status: lastResponse.getStatus(), body: lastResponse.getBody(),
    complete: lastResponse.getHeader('Upload-Complete'), etag: lastResponse.getHeader('ETag'),
  }),
  onError: (error) => {
    const response = error.originalResponse;
    end({
      end: 'failed', why: String(error), url: upload.url, status: response ? response.getStatus() : 0,
      body: response ? response.getBody() : '',
      complete: response ? response.getHeader('Upload-Complete') : null,
    });
  },
};
if (values.store) options.urlStorage = new tus.FileUrlStorage(values.store);

// Of a file that it reads itself, tus-js-client 4.3.1 says that it is complete only when all of it
// goes in one append (FileSource compares the append's length with the file's).
const upload = new tus.Upload(fs.readFileSync(values.file), options);

async function main() {
  if (values.store) {
    const before = await upload.findPreviousUploads();
    say({ found: before.length });
    if (before.length > 0) upload.resumeFromPreviousUpload(before[0]);
  }
  upload.start();
}

main();
