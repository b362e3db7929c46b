// A MessagePack writer by hand: the smallest form of everything, floats always 64 bits wide. It shares no code with the
// official package, so that the two can be held against each other.
import { unhex } from './text.mjs';

const head = (first, value, width) => {
  const bytes = new Uint8Array(1 + width);
  bytes[0] = first;
  let rest = BigInt(value);
  for (let at = width; at > 0; at--, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  return bytes;
};

export function concat(...parts) {
  return new Uint8Array(Buffer.concat(parts));
}

function integer(value) {
  if (value >= 0) {
    if (value < 0x80) return Uint8Array.of(Number(value));
    if (value <= 0xff) return head(0xcc, value, 1);
    if (value <= 0xffff) return head(0xcd, value, 2);
    if (value <= 0xffffffff) return head(0xce, value, 4);
    return head(0xcf, value, 8);
  }
  if (value >= -32) return Uint8Array.of(0x100 + Number(value));
  if (value >= -0x80) return head(0xd0, value, 1);
  if (value >= -0x8000) return head(0xd1, value, 2);
  if (value >= -0x80000000) return head(0xd2, value, 4);
  return head(0xd3, value, 8);
}

function float(value) {
  const bytes = new Uint8Array(9);
  bytes[0] = 0xcb;
  new DataView(bytes.buffer).setFloat64(1, value);
  return bytes;
}

function text(value) {
  const bytes = new TextEncoder().encode(value);
  const n = bytes.length;
  const prefix =
    n < 32 ? Uint8Array.of(0xa0 + n) : n <= 0xff ? head(0xd9, n, 1) : n <= 0xffff ? head(0xda, n, 2) : head(0xdb, n, 4);
  return concat(prefix, bytes);
}

function binary(bytes) {
  const n = bytes.length;
  return concat(n <= 0xff ? head(0xc4, n, 1) : n <= 0xffff ? head(0xc5, n, 2) : head(0xc6, n, 4), bytes);
}

export function array(items) {
  const n = items.length;
  return concat(n < 16 ? Uint8Array.of(0x90 + n) : n <= 0xffff ? head(0xdc, n, 2) : head(0xdd, n, 4), ...items);
}

function map(entries) {
  const n = entries.length;
  const prefix = n < 16 ? Uint8Array.of(0x80 + n) : n <= 0xffff ? head(0xde, n, 2) : head(0xdf, n, 4);
  return concat(prefix, ...entries.flatMap(([key, value]) => [text(key), encode(value)]));
}

/** Encodes a value of the vector files: JSON values plus `{"$msgpack": hex}` for what JSON cannot say. */
export function encode(value) {
  if (value === null) return Uint8Array.of(0xc0);
  if (value === false) return Uint8Array.of(0xc2);
  if (value === true) return Uint8Array.of(0xc3);
  if (typeof value === 'string') return text(value);
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return integer(value);
  if (typeof value === 'number') return float(value);
  if (value instanceof Uint8Array) return binary(value);
  if (Array.isArray(value)) return array(value.map(encode));
  if (typeof value.$msgpack === 'string') return unhex(value.$msgpack);
  return map(Object.entries(value));
}

/** The length prefix: seven bits per byte, low bits first, high bit set while more follow. */
export function varint(length) {
  const bytes = [];
  do {
    bytes.push((length % 128) | (length >= 128 ? 0x80 : 0));
    length = Math.floor(length / 128);
  } while (length > 0);
  return Uint8Array.from(bytes);
}

export const frame = (body) => concat(varint(body.length), body);
