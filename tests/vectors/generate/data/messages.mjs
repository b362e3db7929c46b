// The messages of messages.json. Keys of payload objects and headers are in byte order, so that a reader whose maps are
// sorted still writes the same bytes.
import { Type } from '../lib/canonical.mjs';

const vectors = [];
/** Options: `only` one encoding; `official: false` where the official writer cannot say it; `decode` further spellings. */
const add = (name, message, options = {}) => vectors.push({ name, message, ...options });

const call = (args, more = {}) => ({ type: Type.Invocation, target: 'Send', arguments: args, ...more });
const blocking = (args, more = {}) => call(args, { invocationId: '1', ...more });
const stream = (args, more = {}) => ({ ...blocking(args, more), type: Type.StreamInvocation });
const item = (value, more = {}) => ({ type: Type.StreamItem, invocationId: '1', item: value, ...more });
const done = (more = {}) => ({ type: Type.Completion, invocationId: '1', ...more });
const ext = (hex) => ({ $msgpack: hex });

// Text that a writer escapes wrongly in one way or another: quotes, backslashes, every kind of control character, the
// characters JavaScript treats as line ends, one to four bytes of UTF-8, a sequence of joined emoji, and HTML.
const texts = {
  empty: '',
  quotes: 'say "hi" \\ and / done',
  controls: 'a\bb\fc\nd\re\tf\u0000g\u0001h\u001ei\u001fj\u007fk',
  'line-separators': 'x\u2028y\u2029z',
  'two-bytes': 'Grüße, Żółć, привет',
  'three-bytes': '日本語 ไทย ₹',
  emoji: '😀 👩‍👩‍👧 🇹🇷',
  markup: '<b>&amp;\'+`</b>',
  'non-characters': '\ufeff\uffff\u{10ffff}',
};

const scalars = {
  null: null,
  true: true,
  false: false,
  'float-half': 0.5,
  'float-tenth': 0.1,
  'float-pi': 3.141592653589793,
  'float-negative': -2.25,
  'float-tiny': 1e-7,
};

const integers = [
  0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2147483647, 2147483648, 4294967295, 4294967296, 9007199254740991,
  -1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991,
];

// 1: invocations
add('invocation-non-blocking', call([42]));
add('invocation-blocking', blocking([42]));
add('invocation-no-arguments', blocking([]));
add('invocation-non-blocking-no-arguments', call([]));
add('invocation-many-arguments', blocking([1, 'two', 3.5, true, null, [4], { five: 5 }]));
add('invocation-16-arguments', blocking(Array.from({ length: 16 }, (_, n) => n)));
add('invocation-null-arguments', blocking([null, null]));
add('invocation-nested', blocking([{ a: { b: [{ c: [] }, [[], [null]]] }, d: {} }]));
add('invocation-17-keys', blocking([Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${String.fromCharCode(97 + n)}`, n]))]));
add('invocation-headers', blocking(['x'], { headers: { 'hubwire-id': 'client/1', trace: 'ü "q"' } }));
add('invocation-non-blocking-headers', call(['x'], { headers: { trace: '' } }));
add('invocation-16-headers', call([], { headers: Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`h${String.fromCharCode(97 + n)}`, `${n}`])) }));
add('invocation-one-stream', blocking(['up'], { streamIds: ['2'] }));
add('invocation-two-streams', blocking([], { streamIds: ['2', '3'] }));
add('invocation-non-blocking-stream', call([], { streamIds: ['1'] }));
add('invocation-everything', blocking(['x', 1], { headers: { a: 'b' }, streamIds: ['8', '9'] }));
add('invocation-id-zero', blocking([], { invocationId: '0' }));
add('invocation-id-long', blocking([], { invocationId: '18446744073709551616-' + 'f'.repeat(40) }));
add('invocation-id-opaque', blocking([], { invocationId: 's/"1"\\ü😀' }));
add('invocation-like-a-message', blocking([{ arguments: [], target: 'x', type: 3 }, '{"type":6}']));
add('invocation-length-127', call(['x'.repeat(114)]));
add('invocation-length-128', call(['x'.repeat(115)]));
add('invocation-prefix-2-bytes', call(['y'.repeat(5000)]));
add('invocation-prefix-3-bytes', blocking(['z'.repeat(16400)]));
add('invocation-array-of-70', blocking([Array.from({ length: 70 }, (_, n) => n * 5)]));

for (const [name, text] of Object.entries(texts)) {
  add(`text-argument-${name}`, blocking([text]));
  add(`text-item-${name}`, item(text));
  if (text === '') continue;
  add(`text-target-${name}`, call([], { target: text }));
  add(`text-id-${name}`, blocking([], { invocationId: text }));
  add(`text-error-${name}`, done({ error: text }));
  add(`text-close-${name}`, { type: Type.Close, error: text });
  add(`text-key-${name}`, done({ result: { [text]: text } }));
}
for (const [name, value] of Object.entries(scalars)) {
  add(`value-argument-${name}`, blocking([value]));
  add(`value-result-${name}`, done({ result: value }));
}
for (const value of integers) add(`integer-${value < 0 ? `minus-${-value}` : value}`, item(value));
for (const length of [31, 32, 255, 256]) add(`string-length-${length}`, item('s'.repeat(length)));
for (const length of [15, 16]) add(`array-length-${length}`, item(Array.from({ length }, () => 0)));

// MessagePack only: what JSON has no word for
const binary = { only: 'messagepack' };
add('binary-empty', item(ext('c400')), binary);
add('binary-4-bytes', blocking([ext('c404deadbeef')]), binary);
add('binary-256-bytes', item(ext('c50100' + 'ab'.repeat(256))), binary);
add('timestamp-32', item(ext('d6ff68000000')), binary);
add('timestamp-64', item(ext('d7ff0bebc20068000000')), binary);
add('timestamp-96', item(ext('c70cff00000000fffffffffffff800')), binary);
add('date-with-offset', done({ result: [ext('d6ff68000000'), 120] }), binary);
add('extension-other', item(ext('d47f01')), binary);
add('extension-8', item(ext('c7037f010203')), binary);
// The smallest string with a 32-bit length; without the official bytes, which would only make the file longer.
const unwitnessed = { ...binary, official: false };
add('string-length-65536', item('s'.repeat(65536)), unwitnessed);
// JavaScript rounds these, and has no 32-bit floats and no maps with other keys than strings.
add('uint64-max', item(ext('cfffffffffffffffff')), unwitnessed);
add('int64-min', item(ext('d38000000000000000')), unwitnessed);
add('float-32', item(ext('ca3f800000')), unwitnessed);
add('map-integer-keys', item(ext('810102')), unwitnessed);

// 2, 3: items and completions
add('item', item(42));
add('item-null', item(null));
add('item-object', item({ n: 1, text: 'x' }));
add('item-headers', item([1, 2], { headers: { k: 'v' } }));
add('completion-void', done());
add('completion-null', done({ result: null }));
add('completion-value', done({ result: 42 }));
add('completion-object', done({ result: { list: [1, 'two', null], ok: true } }));
add('completion-empty-object', done({ result: {} }));
add('completion-empty-array', done({ result: [] }));
add('completion-empty-string', done({ result: '' }));
add('completion-error', done({ error: 'Something went wrong' }));
add('completion-error-hub-exception', done({ error: "An unexpected error occurred invoking 'Foo' on the server. HubException: my text" }));
add('completion-void-headers', done({ headers: { k: 'v' } }));
add('completion-value-headers', done({ result: 1, headers: { k: 'v' } }));
add('completion-error-headers', done({ error: 'no', headers: { k: 'v' } }));

// 4, 5: streams and cancels
add('stream', stream([42]));
add('stream-no-arguments', stream([]));
add('stream-upload', stream(['x'], { streamIds: ['2'] }));
add('stream-upload-two', stream([], { streamIds: ['2', '3'] }));
add('stream-headers', stream([], { headers: { k: 'v' } }));
add('cancel', { type: Type.CancelInvocation, invocationId: '1' });
add('cancel-headers', { type: Type.CancelInvocation, invocationId: '1', headers: { k: 'v' } });

// 6 to 9
add('ping', { type: Type.Ping });
add('close', { type: Type.Close });
add('close-error', { type: Type.Close, error: 'Connection closed with an error.' });
add('close-allow-reconnect', { type: Type.Close, allowReconnect: true });
add('close-error-allow-reconnect', { type: Type.Close, error: 'bye', allowReconnect: true });
for (const id of [0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991]) {
  add(`ack-${id}`, { type: Type.Ack, sequenceId: id });
  add(`sequence-${id}`, { type: Type.Sequence, sequenceId: id });
}

// The table of the hub protocol specification, byte for byte. `body` is the array without its length prefix.
const spec = (name, message, body, decodeOnly = false) =>
  add(`spec-${name}`, message, { only: 'messagepack', spec: body, decodeOnly });
const xyz = { invocationId: 'xyz' };
const method = { target: 'method', arguments: [42] };
spec('invocation-blocking', { type: 1, ...xyz, ...method }, '960180a378797aa66d6574686f64912a90');
spec('invocation-non-blocking', { type: 1, ...method }, '960180c0a66d6574686f64912a90');
spec('stream-item', { type: 2, ...xyz, item: 42 }, '940280a378797a2a');
spec('completion-error', { type: 3, ...xyz, error: 'Error' }, '950380a378797a01a54572726f72');
spec('completion-void', { type: 3, ...xyz }, '940380a378797a02');
spec('completion-value', { type: 3, ...xyz, result: 42 }, '950380a378797a032a');
spec('stream-invocation', { type: 4, ...xyz, ...method }, '960480a378797aa66d6574686f64912a90');
spec('cancel', { type: 5, ...xyz }, '930580a378797a');
spec('ping', { type: 6 }, '9106');
spec('close-error', { type: 7, error: 'xyz' }, '9207a378797a', true);
spec('close-error-allow-reconnect', { type: 7, error: 'xyz', allowReconnect: true }, '9307a378797ac3');
// Not the smallest form: 36 and 19 fit in one byte.
spec('ack', { type: 8, sequenceId: 36 }, '9208cc24', true);
spec('sequence', { type: 9, sequenceId: 19 }, '9209cc13', true);

export default vectors;
