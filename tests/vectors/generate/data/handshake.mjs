// Handshakes. They are JSON text under every protocol; what follows the record separator belongs to the hub protocol.
import { RS } from '../lib/canonical.mjs';
import { hex, quote } from '../lib/text.mjs';

const written = (protocol, version) => ({
  name: `${protocol}-${version}`,
  text: `{"protocol":"${protocol}","version":${version}}${RS}`,
  request: { protocol, version },
  canonical: true,
});
const request = (name, text, expected) => ({ name, text: text + RS, request: expected });
const refused = (name, text, reason) => ({ name, text: text + RS, reason });
const json1 = { protocol: 'json', version: 1 };

export const requests = [
  written('json', 1),
  written('json', 2),
  written('messagepack', 1),
  written('messagepack', 2),
  request('order', '{"version":1,"protocol":"json"}', json1),
  request('whitespace', ' { "protocol" : "json" , "version" : 1 } ', json1),
  request('unknown-properties', '{"protocol":"json","version":1,"minorVersion":0,"x":{"type":1}}', json1),
  request('escaped', '{"protocol":"js\\u006fn","version":1}', json1),
  request('unknown-protocol', '{"protocol":"x\\"y","version":1}', { protocol: 'x"y', version: 1 }),
  request('version-3', '{"protocol":"json","version":3}', { protocol: 'json', version: 3 }),
  { ...request('remainder-json', '{"protocol":"json","version":1}', json1), remainder: hex(Buffer.from(`{"type":6}${RS}`)) },
  { ...request('remainder-messagepack', '{"protocol":"messagepack","version":1}', { protocol: 'messagepack', version: 1 }), remainder: '029106' },
  { ...request('remainder-half', '{"protocol":"json","version":1}', json1), remainder: '7b' },
  refused('missing-protocol', '{"version":1}', 'protocol'),
  refused('missing-version', '{"protocol":"json"}', 'version'),
  refused('protocol-is-number', '{"protocol":1,"version":1}', 'protocol'),
  refused('protocol-is-null', '{"protocol":null,"version":1}', 'protocol'),
  refused('version-is-string', '{"protocol":"json","version":"1"}', 'version'),
  refused('version-is-fraction', '{"protocol":"json","version":1.5}', 'version'),
  refused('version-is-null', '{"protocol":"json","version":null}', 'version'),
  refused('version-too-large', '{"protocol":"json","version":4294967296}', 'version'),
  refused('empty', '', 'JSON'),
  refused('not-json', 'GET / HTTP/1.1', 'JSON'),
  refused('cut', '{"protocol":"json"', 'JSON'),
  refused('array', '["json",1]', 'object'),
  refused('null', 'null', 'object'),
  { name: 'invalid-utf8', hex: `${hex(Buffer.from('{"protocol":"'))}ff${hex(Buffer.from(`","version":1}${RS}`))}`, reason: 'UTF-8' },
  { name: 'incomplete', text: '{"protocol":"json","version":1}', incomplete: true },
  { name: 'incomplete-nothing', text: '', incomplete: true },
];

const response = (name, text, expected, more = {}) => ({ name, text: text + RS, response: expected, ...more });

export const responses = [
  response('success', '{}', {}, { canonical: true }),
  response('error', '{"error":"Requested protocol is off"}', { error: 'Requested protocol is off' }, { canonical: true }),
  response('error-escaped', `{"error":${quote('a "b" \\ \n ü😀')}}`, { error: 'a "b" \\ \n ü😀' }, { canonical: true }),
  response('null-error', '{"error":null}', {}),
  response('unknown-properties', '{"minorVersion":0,"x":[{}]}', {}),
  response('whitespace', ' { } ', {}),
  response('remainder-json', '{}', {}, { remainder: hex(Buffer.from(`{"type":6}${RS}{"type":7}${RS}`)) }),
  response('remainder-messagepack', '{}', {}, { remainder: '029106' }),
  response('remainder-half', '{}', {}, { remainder: '02' }),
  refused('hub-message', '{"type":6}', 'type'),
  refused('hub-invocation', '{"type":1,"target":"Send","arguments":[]}', 'type'),
  refused('not-json', 'HTTP/1.1 400', 'JSON'),
  refused('empty', '', 'JSON'),
  refused('array', '[]', 'object'),
  refused('null', 'null', 'object'),
  refused('error-is-number', '{"error":5}', 'error'),
  { name: 'incomplete', text: '{}', incomplete: true },
];

const answer = (name, text, error, more = {}) => ({ name, text: text + RS, error, ...more });
const unexpected = 'An unexpected error occurred during connection handshake.';
const ask = (protocol, version) => `{"protocol":${quote(protocol)},"version":${version}}`;

/** What a server answers when it refuses. `transfer` is what the transport carries; Binary unless given. */
export const serverErrors = [
  answer('unknown-protocol', ask('xml', 1), "The protocol 'xml' is not supported."),
  answer('unknown-protocol-quoted', ask('x"y', 1), "The protocol 'x\"y' is not supported."),
  answer('version-3-json', ask('json', 3), "The server does not support version 3 of the 'json' protocol."),
  answer('version-99-messagepack', ask('messagepack', 99), "The server does not support version 99 of the 'messagepack' protocol."),
  answer(
    'binary-over-text',
    ask('messagepack', 1),
    "Cannot use the 'messagepack' protocol on the current transport. The transport does not support 'Binary' transfer format.",
    { transfer: 'Text' },
  ),
  answer('missing-protocol', '{"version":1}', unexpected),
  answer('missing-version', '{"protocol":"json"}', unexpected),
  answer('not-json', 'garbage', unexpected),
  answer('hub-message', '{"type":6}', unexpected),
  { name: 'timeout', cause: 'timeout', error: 'Handshake was canceled.' },
  { name: 'too-large', cause: 'too-large', error: 'Handshake was canceled.' },
];
