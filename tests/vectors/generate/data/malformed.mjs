// Inputs that a reader must refuse, each with words that the error has to contain, and inputs that are merely not whole yet.
import { frame } from '../lib/msgpack.mjs';
import { hex, unhex } from '../lib/text.mjs';

const vectors = [];
const json = (name, text, reason) => vectors.push({ name, encoding: 'json', text: `${text}\u001e`, reason });
const pack = (name, body, reason) => vectors.push({ name, encoding: 'messagepack', hex: hex(frame(unhex(body))), reason });
const raw = (name, bytes, reason) => vectors.push({ name, encoding: 'messagepack', hex: bytes, reason });
const missing = (property) => `Missing required property '${property}'`;

// JSON: missing
json('missing-type', '{}', missing('type'));
json('missing-type-with-target', '{"target":"Send","arguments":[]}', missing('type'));
json('invocation-missing-target', '{"type":1,"arguments":[]}', missing('target'));
json('invocation-empty-target', '{"type":1,"target":"","arguments":[]}', missing('target'));
json('invocation-missing-arguments', '{"type":1,"target":"Send"}', missing('arguments'));
json('stream-missing-id', '{"type":4,"target":"Send","arguments":[]}', missing('invocationId'));
json('stream-missing-target', '{"type":4,"invocationId":"1","arguments":[]}', missing('target'));
json('stream-missing-arguments', '{"type":4,"invocationId":"1","target":"Send"}', missing('arguments'));
json('item-missing-id', '{"type":2,"item":1}', missing('invocationId'));
json('item-missing-item', '{"type":2,"invocationId":"1"}', missing('item'));
json('completion-missing-id', '{"type":3,"result":1}', missing('invocationId'));
json('completion-empty-id', '{"type":3,"invocationId":"","result":1}', missing('invocationId'));
json('cancel-missing-id', '{"type":5}', missing('invocationId'));
json('ack-missing-sequence-id', '{"type":8}', missing('sequenceId'));
json('sequence-missing-sequence-id', '{"type":9}', missing('sequenceId'));
// JSON: contradiction
const both = "The 'error' and 'result' properties are mutually exclusive.";
json('completion-error-and-result', '{"type":3,"invocationId":"1","error":"no","result":1}', both);
json('completion-result-and-error', '{"result":{"a":1},"type":3,"error":"no","invocationId":"1"}', both);
json('completion-error-and-null-result', '{"type":3,"invocationId":"1","error":"no","result":null}', both);
// JSON: wrong kinds of value
for (const [name, value] of Object.entries({ string: '"1"', fraction: '1.5', null: 'null', object: '{}', true: 'true' })) {
  json(`type-is-${name}`, `{"type":${value},"target":"Send","arguments":[]}`, 'type');
}
json('target-is-number', '{"type":1,"target":7,"arguments":[]}', 'target');
json('target-is-null', '{"type":1,"target":null,"arguments":[]}', 'target');
json('arguments-is-object', '{"type":1,"target":"Send","arguments":{}}', 'arguments');
json('arguments-is-string', '{"type":1,"target":"Send","arguments":"[]"}', 'arguments');
json('arguments-is-null', '{"type":1,"target":"Send","arguments":null}', 'arguments');
json('id-is-number', '{"type":1,"invocationId":1,"target":"Send","arguments":[]}', 'invocationId');
json('id-is-array', '{"type":3,"invocationId":["1"]}', 'invocationId');
json('stream-ids-is-string', '{"type":1,"target":"Send","arguments":[],"streamIds":"1"}', 'streamIds');
json('stream-ids-has-number', '{"type":1,"target":"Send","arguments":[],"streamIds":["1",2]}', 'streamIds');
json('headers-is-array', '{"type":1,"headers":[],"target":"Send","arguments":[]}', 'headers');
json('headers-has-number', '{"type":1,"headers":{"a":1},"target":"Send","arguments":[]}', 'headers');
json('error-is-number', '{"type":3,"invocationId":"1","error":5}', 'error');
json('close-error-is-object', '{"type":7,"error":{}}', 'error');
json('close-allow-reconnect-is-string', '{"type":7,"allowReconnect":"true"}', 'allowReconnect');
for (const [name, value] of Object.entries({ string: '"1"', fraction: '0.5', null: 'null', negative: '-1', 'too-large': '9223372036854775808' })) {
  json(`ack-is-${name}`, `{"type":8,"sequenceId":${value}}`, 'sequenceId');
  json(`sequence-is-${name}`, `{"type":9,"sequenceId":${value}}`, 'sequenceId');
}
// JSON: not JSON, or not an object
for (const [name, text] of Object.entries({
  nothing: '',
  blank: '  ',
  word: 'nope',
  'cut-object': '{"type":6',
  'cut-string': '{"type":6,"x":"',
  'cut-escape': '{"type":7,"error":"\\u12"}',
  'two-values': '{"type":6}{"type":6}',
  'trailing-word': '{"type":6} x',
  'trailing-comma': '{"type":6,}',
  'single-quotes': "{'type':6}",
  comment: '{"type":6/* */}',
  'leading-zero': '{"type":06}',
  'raw-newline-in-text': '{"type":7,"error":"a\nb"}',
  'broken-argument': '{"type":1,"target":"Send","arguments":[nope]}',
  'broken-result': '{"type":3,"invocationId":"1","result":{"a":}}',
  'broken-unknown-property': '{"type":6,"x":[}',
})) {
  json(`json-${name}`, text, 'JSON');
}
for (const [name, text] of Object.entries({ array: '[]', number: '6', text: '"x"', null: 'null', 'array-of-object': '[{"type":6}]' })) {
  json(`not-an-object-${name}`, text, 'object');
}
vectors.push({ name: 'json-invalid-utf8', encoding: 'json', hex: `${hex(Buffer.from('{"type":7,"error":"'))}ff${hex(Buffer.from('"}\u001e'))}`, reason: 'UTF-8' });
vectors.push({ name: 'json-cut-utf8', encoding: 'json', hex: `${hex(Buffer.from('{"type":7,"error":"'))}e282${hex(Buffer.from('"}\u001e'))}`, reason: 'UTF-8' });
// JSON: not whole yet
vectors.push({ name: 'json-no-separator', encoding: 'json', text: '{"type":6}', incomplete: true });
vectors.push({ name: 'json-half', encoding: 'json', text: '{"type":1,"tar', incomplete: true });

// MessagePack: not an array, or too short a one
pack('empty-body', '', 'empty');
pack('empty-array', '90', 'empty');
for (const [name, body] of Object.entries({ map: '80', integer: '06', string: 'a136', nil: 'c0', binary: 'c40106' })) {
  pack(`not-an-array-${name}`, body, 'array');
}
for (const [name, body] of Object.entries({
  invocation: '940180a131a453656e64',
  'invocation-type-only': '9101',
  item: '930280a131',
  completion: '930380a131',
  'completion-error': '940380a13101',
  'completion-value': '940380a13103',
  stream: '940480a131a453656e64',
  cancel: '920580',
  close: '9107',
  ack: '9108',
  sequence: '9109',
})) {
  pack(`too-short-${name}`, body, 'elements');
}
// MessagePack: wrong kinds of value
for (const [name, type] of Object.entries({ string: 'a131', nil: 'c0', float: 'cb3ff0000000000000', true: 'c3', array: '90' })) {
  pack(`type-is-${name}`, `96${type}80a131a453656e64910190`, 'type');
}
pack('headers-is-array', '960190a131a453656e64910190', 'headers');
pack('headers-has-integer', '960181a16b01a131a453656e64910190', 'headers');
pack('headers-key-is-integer', '96018101a176a131a453656e64910190', 'headers');
pack('id-is-integer', '96018001a453656e64910190', 'invocationId');
pack('stream-id-is-nil', '960480c0a453656e64910190', 'invocationId');
pack('item-id-is-nil', '940280c001', 'invocationId');
pack('completion-id-is-empty', '940380a002', 'invocationId');
pack('cancel-id-is-nil', '930580c0', 'invocationId');
pack('target-is-integer', '960180a13105910190', 'target');
pack('target-is-nil', '960180a131c0910190', 'target');
pack('target-is-empty', '960180a131a0910190', 'target');
pack('arguments-is-map', '960180a131a453656e648090', 'arguments');
pack('arguments-is-nil', '960180a131a453656e64c090', 'arguments');
pack('stream-ids-is-string', '960180a131a453656e649101a132', 'streamIds');
pack('stream-ids-has-integer', '960180a131a453656e6491019102', 'streamIds');
for (const [name, kind] of Object.entries({ 0: '00', 4: '04', negative: 'ff', string: 'a133', nil: 'c0' })) {
  pack(`result-kind-${name}`, `950380a131${kind}07`, 'result kind');
}
pack('error-is-integer', '950380a1310105', 'error');
pack('error-is-nil', '950380a13101c0', 'error');
pack('close-error-is-integer', '930705c2', 'error');
pack('close-allow-reconnect-is-integer', '9307c001', 'allowReconnect');
for (const [name, value] of Object.entries({ 'minus-1': 'ff', 'minus-1-int8': 'd0ff', 'int64-min': 'd38000000000000000', 'beyond-int64': 'cf8000000000000000', string: 'a131', nil: 'c0', float: 'cb3ff0000000000000' })) {
  pack(`ack-${name}`, `9208${value}`, 'sequenceId');
  pack(`sequence-${name}`, `9209${value}`, 'sequenceId');
}
// MessagePack: the body ends before the array does
for (const [name, body] of Object.entries({
  'array-header': 'dc00',
  'after-type': '9601',
  headers: '960181a16b',
  id: '960180a57879',
  'target-length': '960180c0da00',
  arguments: '960180c0a453656e649301',
  'argument-string': '960180c0a453656e6491d903',
  'argument-nested': '960180c0a453656e6491929101',
  'argument-extension': '960180c0a453656e6491c70c01',
  result: '950380a13103',
  item: '940280a131cd01',
  'sequence-id': '9208cd01',
  'arguments-2-to-the-32': '960180c0a453656e64ddffffffff',
  'headers-2-to-the-32': '9601dfffffffff',
  'string-2-to-the-32': '960180dbffffffff',
})) {
  pack(`truncated-${name}`, body, 'truncated');
}
pack('reserved-byte', '950380a13103c1', 'reserved');
// MessagePack: text of the envelope that is not UTF-8
pack('utf8-id', '960180a1ffa453656e64910190', 'UTF-8');
pack('utf8-target', '960180a131a2c328910190', 'UTF-8');
pack('utf8-error', '950380a13101a3e28228', 'UTF-8');
pack('utf8-header', '960181a16ba1ffa131a453656e64910190', 'UTF-8');
pack('utf8-stream-id', '960180a131a453656e64910191a1ff', 'UTF-8');
pack('utf8-surrogate', '9307a3eda080c2', 'UTF-8');
// MessagePack: the length prefix
raw('prefix-beyond-2-to-the-31', 'ffffffff089106', 'prefix');
raw('prefix-beyond-32-bits', 'ffffffff7f9106', 'prefix');
raw('prefix-6-bytes', '8080808080009106', 'prefix');
raw('prefix-never-ends', 'ffffffffffffffff', 'prefix');
// MessagePack: not whole yet
for (const [name, bytes] of Object.entries({ 'body-missing': '02', 'body-half': '0291', 'prefix-half': '80', 'prefix-4-of-5': '80808080', 'longer-than-data': 'ac029106' })) {
  vectors.push({ name: `messagepack-${name}`, encoding: 'messagepack', hex: bytes, incomplete: true });
}

export default vectors;
