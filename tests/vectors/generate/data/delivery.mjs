// What delivery reads of an argument list, and what changes of objects come to. The merges are made by a library that
// nobody here wrote, for everything that RFC 7396 covers.
import mergePatch from 'json-merge-patch';

const CONTROL = ['sequence', 'baseSequence', 'full', 'cleared'];
const batch = (messages, more = {}) => [{ batchId: 'b', count: messages.length, messages, ...more }];

const ids = [
  ['first', [{ messageId: 'a', data: 1 }], 'a'],
  ['further-arguments', [{ messageId: 'b' }, 1, [2]], 'b'],
  ['longest', [{ messageId: 'x'.repeat(128) }], 'x'.repeat(128)],
  ['too-long', [{ messageId: 'x'.repeat(129) }], null],
  ['empty', [{ messageId: '' }], null],
  ['number', [{ messageId: 7 }], null],
  ['null', [{ messageId: null }], null],
  ['other-case', [{ MessageId: 'a' }], null],
  ['inner', [{ data: { messageId: 'a' } }], null],
  ['second-argument', [1, { messageId: 'a' }], null],
  ['no-arguments', [], null],
  ['not-ascii', [{ messageId: 'é' }], 'é'],
].map(([name, args, id]) => ({ name: `id-${name}`, kind: 'id', arguments: args, id }));

const batches = [
  ['objects', batch([{ messageId: '1', x: 1 }, { x: 2 }]), [{ arguments: [{ messageId: '1', x: 1 }], id: '1' }, { arguments: [{ x: 2 }] }]],
  [
    'values',
    batch([7, null, 'x', ['y'], { a: 1 }]),
    [{ arguments: [7] }, { arguments: [null] }, { arguments: ['x'] }, { arguments: [['y']] }, { arguments: [{ a: 1 }] }],
  ],
  ['lists', batch([['t', 1], []], { argumentsPerMessage: true }), [{ arguments: ['t', 1] }, { arguments: [] }]],
  ['lists-counted', batch([['t', 1]], { argumentsPerMessage: 2 }), [{ arguments: ['t', 1] }]],
  ['lists-malformed', batch([{ messageId: 'm' }, [1]], { argumentsPerMessage: true }), [{ id: 'm' }, { arguments: [1] }]],
  ['empty', batch([]), []],
  ['no-id', [{ messages: [] }], null],
  ['id-no-text', [{ batchId: 1, messages: [] }], null],
  ['messages-no-list', [{ batchId: 'b', messages: {} }], null],
  ['two-arguments', [...batch([]), 1], null],
].map(([name, args, members]) => ({ name: `batch-${name}`, kind: 'batch', arguments: args, members }));

const changes = [
  ['unordered', { taskId: 't', a: 1 }, { key: 't', order: 'unordered' }],
  ['next', { key: 7, sequence: 2, baseSequence: 1 }, { key: '7', order: 'next', base: 1, sequence: 2 }],
  ['full', { taskId: 't', sequence: 5, full: true }, { key: 't', order: 'full', sequence: 5 }],
  ['full-uncounted', { taskId: 't', full: true }, { key: 't', order: 'full', sequence: 0 }],
  ['first-key-counts', { key: 'k', taskId: 't' }, { key: 't', order: 'unordered' }],
  ['sequence-no-number', { taskId: 't', sequence: 'x', baseSequence: 1 }, { key: 't', order: 'malformed' }],
  ['sequence-alone', { taskId: 't', sequence: 3 }, { key: 't', order: 'malformed' }],
  ['sequence-not-higher', { taskId: 't', sequence: 3, baseSequence: 3 }, { key: 't', order: 'malformed' }],
  ['negative', { taskId: 't', sequence: -1, full: true }, { key: 't', order: 'malformed' }],
  ['key-null', { taskId: null, sequence: 1, full: true }, null],
  ['no-key', { sequence: 1, full: true }, null],
].map(([name, object, delta]) => ({ name: `change-${name}`, kind: 'change', arguments: [object], delta }));

const merges = [
  ['first', {}, { taskId: 't', a: 1, sequence: 1, full: true }],
  ['replace', { a: 1, b: 2 }, { b: 3, sequence: 2, baseSequence: 1 }],
  ['remove', { a: 1, b: 2 }, { b: null }],
  ['nested', { o: { x: 1, y: { z: 2 } } }, { o: { y: { w: 3, z: null } } }],
  ['list-to-object', { o: [1, 2] }, { o: { x: null, y: 1 } }],
  ['object-to-list', { o: { x: 1 } }, { o: [3, { y: null }] }],
  ['text-to-object', { o: 'x' }, { o: { a: { b: null, c: 1 } } }],
  ['remove-what-is-not-there', { a: 1 }, { b: null }],
  ['add', { a: 1 }, { b: { c: {} } }],
].map(([name, object, change]) => {
  const patch = Object.fromEntries(Object.entries(change).filter(([field]) => !CONTROL.includes(field)));
  return { name: `merge-${name}`, kind: 'merge', object, change, merged: mergePatch.apply(structuredClone(object), patch) };
});

// Not RFC 7396: what servers that do not count send, and the explicit list.
const lenient = [
  { name: 'merge-null-has-not-changed', kind: 'merge', nullRemoves: false, object: { a: 1 }, change: { a: null, b: 2 }, merged: { a: 1, b: 2 } },
  { name: 'merge-cleared', kind: 'merge', object: { a: 1, b: 2 }, change: { cleared: ['a'], b: 3 }, merged: { b: 3 } },
];

const positions = [
  ['e/0/s', { epoch: 'e', offset: '0', stream: 's' }],
  ['aB.1/18446744073709551615/group:a/b', { epoch: 'aB.1', offset: '18446744073709551615', stream: 'group:a/b' }],
  ...['', 'e', 'e/1', 'e/1/', '/1/s', 'e//s', 'e/01/s', 'e/-1/s', 'e/+1/s', 'e/18446744073709551616/s'].map((text) => [text, null]),
].map(([text, position]) => ({ name: `position-${text}`, kind: 'position', text, position }));

export default [...ids, ...batches, ...changes, ...merges, ...lenient, ...positions];
