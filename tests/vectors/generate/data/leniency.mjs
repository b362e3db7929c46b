// Inputs that a reader must accept although no writer of ours produces them. `@` in a JSON text stands for the record
// separator; `pack` takes the array and adds the length prefix.
import { frame } from '../lib/msgpack.mjs';
import { hex, unhex } from '../lib/text.mjs';

const vectors = [];
// `official: false` marks what the official client reads differently or refuses, with the reason beside it.
const json = (name, text, expected, options = {}) =>
  vectors.push({ name, encoding: 'json', text: text.replaceAll('@', '\u001e'), ...of(expected), options });
const pack = (name, bodies, expected, options = {}) =>
  vectors.push({ name, encoding: 'messagepack', hex: [bodies].flat().map((body) => hex(frame(unhex(body)))).join(''), ...of(expected), options });
const of = (expected) => (Array.isArray(expected) ? { messages: expected } : { message: expected });
const differs = { official: false };

const send = { type: 1, target: 'Send', arguments: [1] };
const call = { type: 1, invocationId: '1', target: 'Send', arguments: [1] };
const value = { type: 3, invocationId: '1', result: 7 };

// JSON: order
json('order-arguments-first', '{"arguments":[1],"target":"Send","invocationId":"1","type":1}@', call);
json('order-type-last', '{"invocationId":"1","target":"Send","arguments":[1],"type":1}@', call);
json('order-result-before-id', '{"result":7,"invocationId":"1","type":3}@', value);
json('order-item-before-id', '{"item":{"a":[1,{"type":9}]},"type":2,"invocationId":"1"}@', { type: 2, invocationId: '1', item: { a: [1, { type: 9 }] } });
json('order-stream-ids-first', '{"streamIds":["2"],"type":1,"arguments":[],"target":"Up"}@', { type: 1, target: 'Up', arguments: [], streamIds: ['2'] });
json('order-error-first', '{"error":"no","type":3,"invocationId":"1"}@', { type: 3, invocationId: '1', error: 'no' });
// JSON: what is not known. The official client keeps unknown properties on the object.
json('unknown-property', '{"type":1,"target":"Send","arguments":[1],"extra":{"a":[1,2,{"b":null}]},"x":"y"}@', send, differs);
json('unknown-property-first', '{"zz":[[],{}],"type":6}@', { type: 6 }, differs);
json('unknown-property-twice', '{"type":6,"x":1,"x":{"y":2}}@', { type: 6 }, differs);
json('unknown-property-cased', '{"type":6,"Type":1,"Target":"Send"}@', { type: 6 }, differs);
json('unknown-property-of-other-type', '{"type":6,"item":1,"sequenceId":2,"invocationId":"3"}@', { type: 6 }, differs);
json('unknown-type', '{"type":99,"target":"Send","arguments":[]}@', null);
json('unknown-type-10', '{"type":10}@', null);
json('unknown-type-0', '{"type":0}@', null);
json('unknown-type-negative', '{"type":-1}@', null);
json('unknown-type-large', '{"type":4294967297,"invocationId":"1"}@', null);
// JSON: empty and null
json('empty-id', '{"type":1,"invocationId":"","target":"Send","arguments":[1]}@', send, differs);
json('null-id', '{"type":1,"invocationId":null,"target":"Send","arguments":[1]}@', send, differs);
json('null-headers', '{"type":1,"headers":null,"target":"Send","arguments":[1]}@', send);
json('null-stream-ids', '{"type":1,"target":"Send","arguments":[1],"streamIds":null}@', send);
json('empty-stream-ids', '{"type":1,"target":"Send","arguments":[1],"streamIds":[]}@', send);
json('empty-headers', '{"type":1,"headers":{},"target":"Send","arguments":[1]}@', send);
json('null-error-with-result', '{"type":3,"invocationId":"1","error":null,"result":7}@', value);
json('null-error', '{"type":3,"invocationId":"1","error":null}@', { type: 3, invocationId: '1' });
json('null-close-error', '{"type":7,"error":null,"allowReconnect":true}@', { type: 7, allowReconnect: true });
// An empty error is no error: the official clients resolve such a call.
json('empty-error', '{"type":3,"invocationId":"1","error":""}@', { type: 3, invocationId: '1' }, differs);
json('empty-close-error', '{"type":7,"error":""}@', { type: 7 }, differs);
json('close-no-reconnect', '{"type":7,"allowReconnect":false}@', { type: 7 });
json('ping-headers-ignored', '{"type":6,"headers":{"a":"b"}}@', { type: 6 }, differs);
// JSON: spelling
json('whitespace', ' \t\r\n{ "type" : 1 ,\n "target" : "Send" , "arguments" : [ 1 ] } \n@', send);
json('escaped-name', '{"\\u0074ype":1,"t\\u0061rget":"Send","arguments":[1]}@', send);
json('escaped-target', '{"type":1,"target":"\\u0053\\/\\ud83d\\ude00\\u00fc","arguments":[]}@', { type: 1, target: 'S/😀ü', arguments: [] });
json('payload-whitespace', '{"type":3,"invocationId":"1","result": { "a" : [ 1 , 2 ] } }@', { type: 3, invocationId: '1', result: { a: [1, 2] } });
json('payload-closing-brackets-in-text', '{"type":3,"invocationId":"1","result":"]}\\"\\\\"}@', { type: 3, invocationId: '1', result: ']}"\\' });
json('payload-deep', `{"type":3,"invocationId":"1","result":${'['.repeat(60)}${']'.repeat(60)}}@`, { type: 3, invocationId: '1', result: nest(60) });
json('sequence-id-beyond-doubles', '{"type":8,"sequenceId":9223372036854775807}@', { type: 8, sequenceId: 9223372036854775807n }, differs);
// JSON: several messages in one chunk
json('chunk-two', '{"type":6}@{"type":1,"target":"Send","arguments":[1]}@', [{ type: 6 }, send]);
json('chunk-unknown-between', '{"type":6}@{"type":77}@{"type":7}@', [{ type: 6 }, { type: 7 }]);
json('chunk-many', '{"type":6}@'.repeat(20), Array.from({ length: 20 }, () => ({ type: 6 })));

// MessagePack: lengths of the array
pack('invocation-5-elements', '950180a131a453656e649101', call);
pack('invocation-5-elements-no-id', '950180c0a453656e649101', send);
pack('invocation-7-elements', '970180a131a453656e64910190c3', call);
pack('invocation-surplus-nested', '980180a131a453656e64910190920102818080', call, differs);
pack('stream-5-elements', '950480a131a453656e649101', { ...call, type: 4 });
pack('stream-7-elements', '970480a131a453656e64910190c0', { ...call, type: 4 });
pack('item-5-elements', '950280a13107c0', { type: 2, invocationId: '1', item: 7 });
pack('completion-void-5-elements', '950380a13102c0', { type: 3, invocationId: '1' });
pack('completion-value-6-elements', '960380a1310307c0', value);
pack('completion-error-6-elements', '960380a13101a26e6fc0', { type: 3, invocationId: '1', error: 'no' });
pack('cancel-4-elements', '940580a131c0', { type: 5, invocationId: '1' });
pack('ping-2-elements', '920680', { type: 6 });
pack('close-2-elements', '9207c0', { type: 7 });
pack('close-2-elements-error', '9207a3627965', { type: 7, error: 'bye' });
pack('close-4-elements', '9407c0c301', { type: 7, allowReconnect: true });
pack('ack-3-elements', '930805c0', { type: 8, sequenceId: 5 });
pack('sequence-3-elements', '930905c0', { type: 9, sequenceId: 5 });
pack('array-16-header', 'dc00060180a131a453656e64910190', call);
pack('array-32-header', 'dd000000060180a131a453656e64910190', call);
// MessagePack: nil and empty
pack('empty-id', '960180a0a453656e64910190', send);
pack('nil-stream-ids', '960180c0a453656e649101c0', send);
pack('nil-headers', '9601c0c0a453656e64910190', send);
pack('completion-kind-3-nil', '950380a13103c0', { type: 3, invocationId: '1', result: null });
pack('completion-empty-error', '950380a13101a0', { type: 3, invocationId: '1' }, differs);
pack('close-empty-error', '9307a0c2', { type: 7 }, differs);
// MessagePack: wide forms of the integers of the envelope
const wide = { uint8: 'cc01', uint16: 'cd0001', uint32: 'ce00000001', uint64: 'cf0000000000000001', int8: 'd001', int16: 'd10001', int32: 'd200000001', int64: 'd30000000000000001' };
for (const [form, one] of Object.entries(wide)) {
  pack(`type-${form}`, `96${one}80a131a453656e64910190`, call);
  pack(`kind-${form}`, `950380a131${one}a26e6f`, { type: 3, invocationId: '1', error: 'no' });
  pack(`ack-${form}`, `9208${one}`, { type: 8, sequenceId: 1 });
  pack(`sequence-${form}`, `9209${one}`, { type: 9, sequenceId: 1 });
}
pack('ack-int64-max', '9208cf7fffffffffffffff', { type: 8, sequenceId: 9223372036854775807n }, differs);
pack('ack-int64-max-signed', '9208d37fffffffffffffff', { type: 8, sequenceId: 9223372036854775807n }, differs);
pack('ping-uint64', '91cf0000000000000006', { type: 6 });
// MessagePack: wide forms of strings, arrays, maps
pack('strings-8', '960180d90131d90453656e64910190', call);
pack('strings-16', '960180da000131da000453656e64910190', call);
pack('strings-32', '960180db0000000131db0000000453656e64910190', call);
pack('arguments-array-16', '960180a131a453656e64dc00010190', call);
pack('arguments-array-32', '960180a131a453656e64dd000000010190', call);
pack('stream-ids-array-32', '960180c0a453656e649101dd00000001a132', { ...send, streamIds: ['2'] });
pack('headers-map-16', '9601de0001a16ba176c0a453656e64910190', { ...send, headers: { k: 'v' } });
pack('headers-map-32', '9601df00000001a16ba176c0a453656e64910190', { ...send, headers: { k: 'v' } });
pack('payload-wide-forms', '940280a131dd00000002db0000000161df00000001d90162cf0000000000000001', { type: 2, invocationId: '1', item: ['a', { b: 1 }] });
// MessagePack: unknown types and several messages
pack('unknown-type', '9263c0', null);
pack('unknown-type-10', '930a80a131', null);
pack('unknown-type-0', '9100', null);
pack('unknown-type-negative', '92ff80', null);
pack('unknown-type-large', '92cf000000010000000180', null);
pack('chunk-two', ['9106', '960180c0a453656e64910190'], [{ type: 6 }, send]);
pack('chunk-unknown-between', ['9106', '914d', '9307c0c2'], [{ type: 6 }, { type: 7 }]);
vectors.push({ name: 'prefix-padded', encoding: 'messagepack', hex: '82009106', message: { type: 6 }, options: {} });
vectors.push({ name: 'prefix-5-bytes', encoding: 'messagepack', hex: '82808080009106', message: { type: 6 }, options: {} });

function nest(depth) {
  let out = [];
  for (let n = 1; n < depth; n++) out = [out];
  return out;
}

export default vectors;
