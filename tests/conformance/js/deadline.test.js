// Deadlines as the daemon keeps them: raw HTTP/2 sends `grpc-timeout` without a client that counts.
'use strict';

const assert = require('node:assert/strict');
const http2 = require('node:http2');
const { once } = require('node:events');
const { after, test } = require('node:test');
const { ADDRESS } = require('./client');

const DEADLINE_EXCEEDED = '4';

const session = http2.connect(`http://${ADDRESS}`);
after(() => session.close());

// Opens a call that never says anything; returns the headers or trailers that hold its status.
const silence = async (method, timeout) => {
  const stream = session.request({
    ':method': 'POST', ':path': `/user.v1.UserService/${method}`,
    'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': timeout,
  });
  const ends = [once(stream, 'response'), once(stream, 'trailers')]
    .map(async (event) => (await event)[0]);
  stream.resume();
  const [headers] = await Promise.all([ends[0], once(stream, 'close')]);
  return 'grpc-status' in headers ? headers : ends[1];
};

for (const method of ['GetUser', 'BulkCreateUsers', 'UserUpdates']) {
  test(`${method} ends with DEADLINE_EXCEEDED when its time is up`, { timeout: 5000 }, async () => {
    const began = performance.now();
    const end = await silence(method, '300m');
    assert.equal(end['grpc-status'], DEADLINE_EXCEEDED);
    assert.ok(end['grpc-status-details-bin'], 'it has details');
    const took = performance.now() - began;
    assert.ok(took > 250 && took < 2000, `it took ${took} ms`);
  });
}
