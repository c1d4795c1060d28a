// All ten RPCs through grpc-js, with refusals, deadlines and cancellation.
'use strict';

const assert = require('node:assert/strict');
const { after, test } = require('node:test');
const { randomUUID } = require('node:crypto');
const { call, collect, connect, decode, failure, status, upload } = require('./client');

const client = connect();
after(() => client.close());

const create = (fields = {}) =>
  call(client, 'CreateUser', { email: `${randomUUID()}@example.org`, ...fields });

// Checks how a call is refused: its code, and the reason of its ErrorInfo.
const refused = async (promise, code, reason) => {
  const error = await promise.then(() => assert.fail('it was not refused'), (refusal) => refusal);
  assert.equal(error.code, status[code], error);
  const found = decode(error);
  assert.equal(found['google.rpc.ErrorInfo'].reason, reason);
  assert.equal(found['google.rpc.ErrorInfo'].domain, 'rosterd');
  return found;
};

test('a user is created and found by id and by email', async () => {
  const user = await create({ name: 'Ada', attributes: { team: 'blue' } });
  assert.equal(user.status, 'USER_STATUS_ACTIVE');
  assert.deepEqual(user.attributes, { team: 'blue' });
  assert.deepEqual(await call(client, 'GetUser', { user_id: user.id }), user);
  const email = user.email.toUpperCase();
  assert.deepEqual(await call(client, 'GetUserByEmail', { email }), user);
});

test('a batch names who is missing', async () => {
  const user = await create();
  const answer = await call(client, 'BatchGetUsers', { user_ids: [user.id, 'nobody'] });
  assert.deepEqual(answer, { users: [user], missing_ids: ['nobody'] });
});

test('an update changes what its mask names', async () => {
  const user = await create({ name: 'Before' });
  const changed = await call(client, 'UpdateUser', {
    user_id: user.id, name: 'After', attributes: { team: 'red' },
    update_mask: { paths: ['attributes.team'] }, expected_revision: user.revision,
  });
  assert.equal(changed.name, 'Before');
  assert.deepEqual(changed.attributes, { team: 'red' });
  const stale = { user_id: user.id, name: 'Stale', expected_revision: user.revision };
  await refused(call(client, 'UpdateUser', stale), 'ABORTED', 'REVISION_MISMATCH');
});

test('a deleted user is not found', async () => {
  const user = await create();
  await call(client, 'DeleteUser', { user_id: user.id });
  await refused(call(client, 'GetUser', { user_id: user.id }), 'NOT_FOUND', 'USER_NOT_FOUND');
});

test('a taken email is refused', async () => {
  const { email } = await create();
  await refused(create({ email: ` ${email} ` }), 'ALREADY_EXISTS', 'EMAIL_TAKEN');
});

test('an invalid field is named by the details of the refusal', async () => {
  const found = await refused(create({ email: 'nobody' }), 'INVALID_ARGUMENT', 'FIELD_INVALID');
  const [violation] = found['google.rpc.BadRequest'].fieldViolations;
  assert.equal(violation.field, 'email');
  assert.ok(violation.description);
});

test('a bulk reports the bad among the good, and a list streams them all', async () => {
  const items = Array.from({ length: 250 }, (_, number) => ({ email: `${number}@bulk.example` }));
  const answer = await upload(client, 'BulkCreateUsers', [...items, { email: 'nobody' }]);
  assert.equal(answer.created_count, 250);
  assert.equal(answer.failed_count, 1);
  assert.equal(answer.failures[0].index, '250');
  const listed = await collect(client.ListUsers({ page_size: 100 }));
  const ids = new Set(listed.map((user) => user.id));
  assert.ok(answer.user_ids.every((id) => ids.has(id)));
});

test('a session answers each update, and ends with the refusal of a bad one', async () => {
  const user = await create();
  const session = client.UserUpdates();
  const answers = session[Symbol.asyncIterator]();
  for (const name of ['First', 'Second']) {
    session.write({ update: { user_id: user.id, name } });
    assert.equal((await answers.next()).value.name, name);
  }
  session.write({});
  const found = await refused(answers.next(), 'INVALID_ARGUMENT', 'FIELD_INVALID');
  assert.equal(found['google.rpc.ErrorInfo'].metadata.ordinal, '2');
});

test('a session ends well when its client has nothing more to say', async () => {
  const user = await create();
  const session = client.UserUpdates();
  session.write({ update: { user_id: user.id, name: 'Only' } });
  session.end();
  assert.deepEqual((await collect(session)).map(({ name }) => name), ['Only']);
});

test('a watch is not there yet', async () => {
  await refused(collect(client.WatchUsers({})), 'UNIMPLEMENTED', 'UNIMPLEMENTED');
});

test('a session ends at its deadline', async () => {
  const error = await failure(client.UserUpdates({ deadline: Date.now() + 300 }));
  assert.equal(error.code, status.DEADLINE_EXCEEDED);
});

test('a list is cancelled after ten users', async () => {
  const items = Array.from({ length: 50 }, (_, number) => ({ email: `${number}@list.example` }));
  await upload(client, 'BulkCreateUsers', items);
  const stream = client.ListUsers({ page_size: 10 });
  let seen = 0;
  const error = await collect(stream.on('data', () => {
    seen += 1;
    if (seen === 10) stream.cancel();
  })).then(() => assert.fail('it was not cancelled'), (refusal) => refusal);
  assert.equal(error.code, status.CANCELLED);
  assert.equal((await collect(client.ListUsers({ limit: 10 }))).length, 10);
});
