// The witness: the official packages write what they can write, and read everything our canonical encodings say.
import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import { layout, RS, Type } from './canonical.mjs';
import { hex, unhex } from './text.mjs';

const require = createRequire(import.meta.url);
const signalr = require('@microsoft/signalr');
const { MessagePackHubProtocol } = require('@microsoft/signalr-protocol-msgpack');
// The decoder the official package itself uses; not a dependency of ours, so it cannot be of another version.
const fromMsgpack = createRequire(require.resolve('@microsoft/signalr-protocol-msgpack'));
const { decode } = fromMsgpack('@msgpack/msgpack');

export const versions = {
  '@microsoft/signalr': require('@microsoft/signalr/package.json').version,
  '@microsoft/signalr-protocol-msgpack': require('@microsoft/signalr-protocol-msgpack/package.json').version,
  '@msgpack/msgpack': fromMsgpack('@msgpack/msgpack/package.json').version,
};

const jsonProtocol = new signalr.JsonHubProtocol();
const binaryProtocol = new MessagePackHubProtocol();
const quiet = signalr.NullLogger.instance;

/** Vector values as the objects that the official writer takes: Dates, byte arrays, extension data. */
function live(value) {
  if (Array.isArray(value)) return value.map(live);
  if (value === null || typeof value !== 'object') return value;
  if (typeof value.$msgpack === 'string') return decode(unhex(value.$msgpack));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, live(inner)]));
}

/** The message object with its properties in the order in which the official client builds it. */
function asClientBuilds(message) {
  const { type, headers, ...rest } = message;
  const order = ['error', 'target', 'arguments', 'invocationId', 'streamIds', 'item', 'result', 'sequenceId', 'allowReconnect'];
  const out = {};
  for (const name of order) if (Object.hasOwn(rest, name)) out[name] = live(rest[name]);
  out.type = type;
  if (headers) out.headers = headers;
  return out;
}

export const officialJson = (message) => jsonProtocol.writeMessage(asClientBuilds(message));

/** Undefined where the official MessagePack writer cannot express the message: its Close carries nothing. */
export function officialMessagepack(message) {
  if (message.type === Type.Close && (message.error || message.allowReconnect)) return undefined;
  return new Uint8Array(binaryProtocol.writeMessage(asClientBuilds(message)));
}

/** Drops what the official parsers add (empty collections, undefined, null and false options). */
function normal(message) {
  const out = {};
  for (const [name, value] of Object.entries(message)) {
    const empty = value === undefined || ((name === 'headers' || name === 'streamIds') && Object.keys(value ?? {}).length === 0);
    const unset = (name === 'error' && value === null) || (name === 'allowReconnect' && !value);
    if (!empty && !unset) out[name] = value;
  }
  return out;
}

// Messages that only a server reads: the official client ignores them as of unknown type.
const serverOnly = new Set([Type.StreamInvocation, Type.CancelInvocation]);

function same(what, got, expected) {
  if (!isDeepStrictEqual(got, expected)) {
    throw new Error(`${what}\n  read: ${show(got)}\n  want: ${show(expected)}`);
  }
}

const show = (value) => JSON.stringify(value, (_, inner) => (inner instanceof Uint8Array ? `bytes ${hex(inner)}` : inner));

/** Fails unless the official JSON parser reads `text` as exactly these messages. */
export function checkJson(name, text, messages) {
  if (!text.endsWith(RS)) throw new Error(`${name}: no record separator at the end`);
  const got = jsonProtocol.parseMessages(text, quiet).map(normal);
  const expected = messages.filter(({ type }) => !serverOnly.has(type)).map((message) => normal(live(message)));
  same(`${name}: the official JSON parser disagrees`, got, expected);
}

/**
 * Fails unless plain JSON.parse finds this message, and JSON.stringify would write the very same text. The only witness for
 * what the official client does not read, and the one for escapes and blanks.
 */
export function checkPlainJson(name, text, message) {
  const parsed = JSON.parse(text.slice(0, -1));
  same(`${name}: the text is not the message`, normal(parsed), normal(message));
  same(`${name}: the text is not as JSON.stringify writes it`, text, JSON.stringify(parsed) + RS);
}

/** Fails unless the official MessagePack parser reads `bytes` as exactly these messages. */
export function checkChunk(name, bytes, messages) {
  // The official client never receives upload streams and drops the list.
  const comparable = (message) => {
    const { streamIds, ...kept } = normal(message);
    return kept;
  };
  const expected = messages.filter(({ type }) => !serverOnly.has(type)).map((message) => comparable(live(message)));
  const got = binaryProtocol.parseMessages(bytes.slice().buffer, quiet).map(comparable);
  same(`${name}: the official MessagePack parser disagrees`, got, expected);
}

export const checkMessagepack = (name, bytes, message) => checkChunk(name, bytes, [message]);

/** Fails unless the plain MessagePack decoder finds the expected array behind the length prefix. */
export function checkLayout(name, bytes, message) {
  let start = 0;
  while (bytes[start] & 0x80) start++;
  same(`${name}: the array is not as laid out`, decode(bytes.subarray(start + 1)), live(layout(message)));
}

const { HandshakeProtocol } = require('@microsoft/signalr/dist/cjs/HandshakeProtocol.js');
const handshake = new HandshakeProtocol();

export const officialHandshakeRequest = (request) => handshake.writeHandshakeRequest(request);

/** `[remaining text or null, response]`; throws what the official client throws. */
export const officialHandshakeResponse = (text) => handshake.parseHandshakeResponse(text);
