/**
 * The hub protocol `messagepack`: arrays behind a variable-length size. The envelope is read and written here; values are
 * left to a MessagePack library.
 */

import { Decoder, Encoder } from "@msgpack/msgpack";
import { headersFrom, missing, ProtocolFault, TooLarge, wrong, type Codec, type FlatHeaders, type Sink } from "./codec.js";
import { Encoded } from "./payloads.js";

type Bytes = Uint8Array<ArrayBuffer>;

const RESULT_ERROR = 1;
const RESULT_VOID = 2;
const RESULT_VALUE = 3;

/** The name of the one entry of the one element that Close has more between peers that know each other. */
const RETRY_AFTER = "retryAfterMs";

const encoder = new Encoder({ ignoreUndefined: false });
const decoder = new Decoder();
const writeUtf8 = new TextEncoder();
const readUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const malformed = (what: string): ProtocolFault => new ProtocolFault(`The message is not valid MessagePack: it ${what}.`);

/** Reads the envelope of one message: never beyond its end. */
class Reader {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  /** Where the last element begins if it is an empty list. */
  get emptyLast(): number {
    const last = this.#data.length - 1;
    return this.#data[last] === 0x90 ? last : this.#data.length;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#data.length;
  }

  peek(): number {
    if (this.isAtEnd) {
      throw malformed("is truncated");
    }
    return this.#data[this.at]!;
  }

  /** Passes that many bytes and says where they began. */
  #pass(count: number): number {
    const start = this.at;
    if (count > this.#data.length - start) {
      throw malformed("is truncated");
    }
    this.at += count;
    return start;
  }

  #uint(bytes: 1 | 2 | 4): number {
    const at = this.#pass(bytes);
    return bytes === 1 ? this.#view.getUint8(at) : bytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  /** Nil is there, and passed. */
  nil(): boolean {
    const isNil = this.peek() === 0xc0;
    this.at += +isNil;
    return isNil;
  }

  /** The length of an array or of a map, if one is next. */
  length(fix: number, mask: number, wide: number): number | undefined {
    const byte = this.peek();
    if ((byte & ~mask & 0xff) === fix) {
      this.at += 1;
      return byte & mask;
    }
    if (byte === wide || byte === wide + 1) {
      this.at += 1;
      return this.#uint(byte === wide ? 2 : 4);
    }
    return undefined;
  }

  array(): number | undefined {
    return this.length(0x90, 0x0f, 0xdc);
  }

  map(): number | undefined {
    return this.length(0x80, 0x0f, 0xde);
  }

  integer(): number | undefined {
    const byte = this.peek();
    if (byte <= 0x7f || byte >= 0xe0) {
      this.at += 1;
      return byte <= 0x7f ? byte : byte - 256;
    }
    if (byte < 0xcc || byte > 0xd3) {
      return undefined;
    }
    this.at += 1;
    const [width, signed] = [1 << (byte & 3), byte >= 0xd0];
    const at = this.#pass(width);
    const view = this.#view;
    switch (width) {
      case 1:
        return signed ? view.getInt8(at) : view.getUint8(at);
      case 2:
        return signed ? view.getInt16(at) : view.getUint16(at);
      case 4:
        return signed ? view.getInt32(at) : view.getUint32(at);
      default:
        return Number(signed ? view.getBigInt64(at) : view.getBigUint64(at));
    }
  }

  text(property: string): string | undefined {
    const byte = this.peek();
    let size: number;
    if (byte >= 0xa0 && byte <= 0xbf) {
      this.at += 1;
      size = byte & 0x1f;
    } else if (byte >= 0xd9 && byte <= 0xdb) {
      this.at += 1;
      size = this.#uint((1 << (byte - 0xd9)) as 1 | 2 | 4);
    } else {
      return undefined;
    }
    const start = this.#pass(size);
    // Names and ids are short: this is quicker than the decoder.
    if (size < 24) {
      let text = "";
      let i = start;
      for (; i < this.at && this.#data[i]! < 0x80; i++) {
        text += String.fromCharCode(this.#data[i]!);
      }
      if (i === this.at) {
        return text;
      }
    }
    try {
      return readUtf8.decode(this.#data.subarray(start, this.at));
    } catch {
      throw new ProtocolFault(`Expected '${property}' to be UTF-8.`);
    }
  }

  /** A text that may be nil; the empty one counts as none. */
  optional(property: string): string | undefined {
    if (this.nil()) {
      return undefined;
    }
    const text = this.text(property);
    if (text === undefined) {
      throw wrong(property, "a string");
    }
    return text || undefined;
  }

  needed(property: string): string {
    const text = this.optional(property);
    if (text === undefined) {
      throw missing(property);
    }
    return text;
  }

  headers(): FlatHeaders | undefined {
    if (this.nil()) {
      return undefined;
    }
    const count = this.map();
    if (count === undefined) {
      throw wrong("headers", "a map of strings");
    }
    const flat: FlatHeaders = [];
    for (let i = 0; i < count * 2; i++) {
      const text = this.text("headers");
      if (text === undefined) {
        throw wrong("headers", "a map of strings");
      }
      flat.push(text);
    }
    return flat.length > 0 ? flat : undefined;
  }

  sequence(): number {
    const id = this.integer();
    if (id === undefined || id < 0 || id > 2 ** 63 || (id === 2 ** 63 && this.#data[this.at - 8]! >= 0x80)) {
      throw wrong("sequenceId", "an integer of at least 0");
    }
    return id;
  }

  /** The next value, by the library, which most likely ends there. */
  value(end: number): unknown {
    const start = this.at;
    try {
      const value = decoder.decode(this.#data.subarray(start, end));
      this.at = end;
      return value;
    } catch {
      // It ends elsewhere, or is none.
    }
    this.skip();
    try {
      return decoder.decode(this.#data.subarray(start, this.at));
    } catch (error) {
      throw malformed(`cannot be decoded: ${error instanceof Error ? error.name : "an error"}`);
    }
  }

  /** Passes values without looking into them. */
  skip(): void {
    for (let left = 1; left > 0; left--) {
      const byte = this.#uint(1);
      if (byte <= 0x7f || byte >= 0xe0 || byte === 0xc0 || byte === 0xc2 || byte === 0xc3) {
        continue;
      }
      if (byte <= 0x8f) {
        left += (byte & 0x0f) * 2;
      } else if (byte <= 0x9f) {
        left += byte & 0x0f;
      } else if (byte <= 0xbf) {
        this.#pass(byte & 0x1f);
      } else if (byte >= 0xd9 && byte <= 0xdb) {
        this.#pass(this.#uint((1 << (byte - 0xd9)) as 1 | 2 | 4));
      } else if (byte >= 0xc4 && byte <= 0xc6) {
        this.#pass(this.#uint((1 << (byte - 0xc4)) as 1 | 2 | 4));
      } else if (byte >= 0xc7 && byte <= 0xc9) {
        this.#pass(this.#uint((1 << (byte - 0xc7)) as 1 | 2 | 4) + 1);
      } else if (byte === 0xca || byte === 0xcb) {
        this.#pass(byte === 0xca ? 4 : 8);
      } else if (byte >= 0xcc && byte <= 0xd3) {
        this.#pass(1 << (byte & 3));
      } else if (byte >= 0xd4 && byte <= 0xd8) {
        this.#pass((1 << (byte - 0xd4)) + 1);
      } else if (byte >= 0xdc) {
        const count = this.#uint(byte & 1 ? 4 : 2);
        left += byte >= 0xde ? count * 2 : count;
      } else {
        throw malformed("has the reserved byte 0xc1");
      }
    }
  }
}

/** The least number of elements, by type. */
const ELEMENTS = [0, 5, 4, 4, 5, 3, 1, 2, 2, 2];

function call(type: 1 | 4, reader: Reader, count: number, size: number, sink: Sink): void {
  const headers = reader.headers();
  const id = type === 4 ? reader.needed("invocationId") : reader.optional("invocationId");
  const target = reader.nil() ? undefined : reader.text("target");
  if (target === undefined) {
    throw wrong("target", "a string");
  }
  if (target === "") {
    throw missing("target");
  }
  const first = reader.peek();
  if (!((first & 0xf0) === 0x90 || first === 0xdc || first === 0xdd)) {
    throw wrong("arguments", "an array");
  }
  const args = reader.value(count > 5 ? reader.emptyLast : size) as unknown[];
  let streams: string[] | undefined;
  if (count > 5 && !reader.nil()) {
    const length = reader.array();
    if (length === undefined) {
      throw wrong("streamIds", "an array of strings");
    }
    for (let i = 0; i < length; i++) {
      const stream = reader.text("streamIds");
      if (stream === undefined) {
        throw wrong("streamIds", "an array of strings");
      }
      (streams ??= []).push(stream);
    }
  }
  if (type === 1 && id === undefined && headers === undefined && streams === undefined) {
    sink.invoked_(target, args, size);
  } else {
    sink.receivedCall_(type, id, target, args, size, streams, headers);
  }
}

function message(data: Uint8Array, sink: Sink): void {
  if (data.length === 0) {
    throw malformed("is empty");
  }
  const reader = new Reader(data);
  const count = reader.array();
  if (count === undefined) {
    throw malformed("is not an array");
  }
  if (count === 0) {
    throw new ProtocolFault("The message array is empty.");
  }
  const type = reader.integer();
  if (type === undefined) {
    throw wrong("type", "an integer");
  }
  const least = ELEMENTS[type] ?? 0;
  if (count < least) {
    throw new ProtocolFault(`The array of a message of type ${type} has only ${count} elements.`);
  }
  const size = data.length;
  switch (type) {
    case 1:
    case 4:
      return call(type, reader, count, size, sink);
    case 2: {
      reader.headers();
      const id = reader.needed("invocationId");
      return sink.receivedItem_(id, reader.value(size), size);
    }
    case 3: {
      reader.headers();
      const id = reader.needed("invocationId");
      const kind = reader.integer();
      if (kind === undefined || kind < RESULT_ERROR || kind > RESULT_VALUE) {
        throw new ProtocolFault(`The result kind ${kind ?? "of another type"} of a completion is none of 1, 2 and 3.`);
      }
      if (kind === RESULT_VOID) {
        return sink.receivedCompletion_(id, false, undefined, size, undefined);
      }
      if (count < 5) {
        throw new ProtocolFault(`The array of a message of type ${type} has only ${count} elements.`);
      }
      if (kind === RESULT_VALUE) {
        return sink.receivedCompletion_(id, true, reader.value(size), size, undefined);
      }
      const error = reader.text("error");
      if (error === undefined) {
        throw wrong("error", "a string");
      }
      return sink.receivedCompletion_(id, false, undefined, size, error || undefined);
    }
    case 5:
      reader.headers();
      return sink.receivedControl_(type, reader.needed("invocationId"), 0);
    case 6:
      return sink.receivedControl_(type, undefined, 0);
    case 7: {
      const error = reader.optional("error");
      let allow = 0xc2;
      if (count > 2) {
        allow = reader.peek();
        if (allow !== 0xc2 && allow !== 0xc3) {
          throw wrong("allowReconnect", "a boolean");
        }
        reader.at += 1;
      }
      const extra = count > 3 ? (reader.value(size) as Record<string, unknown> | null) : null;
      const after = typeof extra === "object" ? extra?.[RETRY_AFTER] : undefined;
      return sink.receivedClose_(error, allow === 0xc3, typeof after === "number" && after >= 0 ? after : -1);
    }
    case 8:
    case 9:
      return sink.receivedControl_(type, undefined, reader.sequence());
    default:
    // Types of the future are ignored.
  }
}

/** A list whose elements are encoded already, behind its length. */
function framed(count: number, parts: Uint8Array[]): Bytes {
  let size = 1;
  for (const part of parts) {
    size += part.length;
  }
  const prefix: number[] = [];
  let left = size;
  do {
    prefix.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left >>>= 7;
  } while (left > 0);
  const frame = new Uint8Array(prefix.length + size);
  frame.set(prefix);
  frame[prefix.length] = 0x90 | count;
  let at = prefix.length + 1;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

const byte = (value: number): Uint8Array => Uint8Array.of(value);
const NIL = byte(0xc0);
const NO_HEADERS = byte(0x80);

function text(value: string | undefined): Uint8Array {
  return value === undefined ? NIL : encoder.encode(value);
}

function integer(value: number): Uint8Array {
  return encoder.encode(value);
}

const headersOf = (flat: FlatHeaders | undefined): Uint8Array => (flat ? encoder.encode(headersFrom(flat)) : NO_HEADERS);

/** The hub protocol `messagepack`. Dates are timestamps, `Uint8Array`s are binary. */
export class MessagePackHubProtocol implements Codec {
  readonly name = "messagepack";
  readonly version = 2;
  /** `TransferFormat.Binary` */
  readonly transferFormat = 2;
  readonly encoding_ = 1;

  write_(value: unknown): Encoded {
    return new Encoded(encoder.encode(value));
  }

  call_(type: number, id: string | undefined, target: string, args: Encoded, streams: string[] | undefined, headers: FlatHeaders | undefined): Bytes {
    const parts = [byte(type), headersOf(headers), text(id), text(target), args.data as Uint8Array];
    return framed(6, [...parts, streams ? encoder.encode(streams) : byte(0x90)]);
  }

  item_(id: string, item: Encoded): Bytes {
    return framed(4, [byte(2), NO_HEADERS, text(id), item.data as Uint8Array]);
  }

  completion_(id: string, value: Encoded | undefined, error: string | undefined): Bytes {
    const head = [byte(3), NO_HEADERS, text(id)];
    if (error !== undefined) {
      return framed(5, [...head, byte(RESULT_ERROR), text(error)]);
    }
    return value ? framed(5, [...head, byte(RESULT_VALUE), value.data as Uint8Array]) : framed(4, [...head, byte(RESULT_VOID)]);
  }

  control_(type: number, value: string | undefined, number: number): Bytes {
    switch (type) {
      case 5:
        return framed(3, [byte(type), NO_HEADERS, text(value)]);
      case 6:
        return framed(1, [byte(type)]);
      case 7:
        return framed(3, [byte(type), text(value), byte(0xc2)]);
      default:
        return framed(2, [byte(type), integer(number)]);
    }
  }

  join_(frames: Bytes[]): Bytes {
    const whole = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0));
    let at = 0;
    for (const frame of frames) {
      whole.set(frame, at);
      at += frame.length;
    }
    return whole;
  }

  decode_(data: string | Uint8Array, limit: number, sink: Sink): Uint8Array | undefined {
    const bytes = typeof data === "string" ? writeUtf8.encode(data) : data;
    let at = 0;
    while (at < bytes.length) {
      let size = 0;
      let start = at;
      for (let shift = 0; ; shift += 7) {
        if (start >= bytes.length) {
          return bytes.slice(at);
        }
        const next = bytes[start++]!;
        size += (next & 0x7f) * 2 ** shift;
        if (shift === 28 && next > 7) {
          throw new ProtocolFault("Messages over 2GB in size are not supported: bad length prefix.");
        }
        if (next < 0x80) {
          break;
        }
      }
      if (size + start - at > limit) {
        throw new TooLarge();
      }
      if (start + size > bytes.length) {
        return bytes.slice(at);
      }
      message(bytes.subarray(start, start + size), sink);
      at = start + size;
    }
    return undefined;
  }
}
