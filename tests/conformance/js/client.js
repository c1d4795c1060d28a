// The grpc-js client of the user service: calls as promises, and error details decoded.
'use strict';

const path = require('node:path');
const { once } = require('node:events');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

const CONTRACT = path.join(__dirname, '../../../proto/user/v1/user_service.proto');
const ADDRESS = process.env.ROSTERD_ADDRESS;

const definition = protoLoader.loadSync(CONTRACT, {
  keepCase: true, longs: String, enums: String, arrays: true, objects: true, oneofs: true,
});
const { UserService } = grpc.loadPackageDefinition(definition).user.v1;
const details = new protobuf.Root();
details.loadSync(path.join(__dirname, 'error_details.proto'));

const connect = () => new UserService(ADDRESS, grpc.credentials.createInsecure());

// One request, one answer.
const call = (client, method, request, options = {}) =>
  new Promise((resolve, reject) => {
    client[method](request, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

// A stream of requests, one answer.
const upload = (client, method, requests, options = {}) =>
  new Promise((resolve, reject) => {
    const stream = client[method](options, (error, answer) =>
      error ? reject(error) : resolve(answer));
    requests.forEach((request) => stream.write(request));
    stream.end();
  });

// The answers of a stream, read to its end.
const collect = async (stream) => {
  const answers = [];
  for await (const answer of stream) answers.push(answer);
  return answers;
};

// The error of a stream that must fail, whatever it answers before.
const failure = async (stream) => {
  stream.resume();
  const [error] = await once(stream, 'error');
  return error;
};

// The details of an error by the name of their type.
const decode = (error) => {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const status = details.lookupType('google.rpc.Status').decode(bytes);
  return Object.fromEntries(status.details.map(({ type_url: url, value }) => {
    const name = url.split('/').pop();
    return [name, details.lookupType(name).decode(value).toJSON()];
  }));
};

module.exports = { ADDRESS, connect, call, upload, collect, failure, decode, status: grpc.status };
