/** The hub protocol `json`: one object per record, ended by 0x1E. */

import {
  errorAndResult, headersFrom, missing, ProtocolFault, TooLarge, wrong,
  type Codec, type FlatHeaders, type Sink,
} from "./codec.js";
import { Encoded } from "./payloads.js";

const SEPARATOR = "\u001e";
const stringify = JSON.stringify;

type Envelope = Record<string, unknown>;

/** What nearly every message has. Properties by name are quicker than by a variable. */
interface PlainInvocation {
  readonly type?: unknown;
  readonly target?: unknown;
  readonly arguments?: unknown;
  readonly invocationId?: unknown;
  readonly headers?: unknown;
  readonly streamIds?: unknown;
}

/** A text that may be missing; null and the empty text count as missing. */
function text(envelope: Envelope, name: string): string | undefined {
  const value = envelope[name];
  if (typeof value === "string") {
    return value || undefined;
  }
  if (value === undefined || value === null) {
    return undefined;
  }
  throw wrong(name, "a string");
}

function needed(envelope: Envelope, name: string): string {
  const value = envelope[name];
  if (value === null && name === "target") {
    throw wrong(name, "a string");
  }
  const found = text(envelope, name);
  if (found === undefined) {
    throw missing(name);
  }
  return found;
}

function sequence(envelope: Envelope): number {
  const id = envelope["sequenceId"];
  if (id === undefined) {
    throw missing("sequenceId");
  }
  // The specification's type is a signed 64-bit integer; a double holds fewer, and counting never gets there.
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > 2 ** 63) {
    throw wrong("sequenceId", "an integer of at least 0");
  }
  return id;
}

function headersOf(envelope: Envelope): FlatHeaders | undefined {
  const headers = envelope["headers"];
  if (headers === undefined || headers === null) {
    return undefined;
  }
  const flat = typeof headers === "object" && !Array.isArray(headers) ? Object.entries(headers).flat() : [0];
  if (!flat.every((part) => typeof part === "string")) {
    throw wrong("headers", "an object of strings");
  }
  return flat.length > 0 ? (flat as string[]) : undefined;
}

function streamsOf(envelope: Envelope): string[] | undefined {
  const streams = envelope["streamIds"];
  if (streams === undefined || streams === null) {
    return undefined;
  }
  if (!Array.isArray(streams) || !streams.every((id) => typeof id === "string")) {
    throw wrong("streamIds", "an array of strings");
  }
  return streams.length > 0 ? (streams as string[]) : undefined;
}

function call(type: 1 | 4, envelope: Envelope, size: number, sink: Sink): void {
  const headers = headersOf(envelope);
  const id = type === 4 ? needed(envelope, "invocationId") : text(envelope, "invocationId");
  const target = needed(envelope, "target");
  const args = envelope["arguments"];
  if (!Array.isArray(args)) {
    throw args === undefined ? missing("arguments") : wrong("arguments", "an array");
  }
  const streams = streamsOf(envelope);
  if (type === 1 && id === undefined && headers === undefined && streams === undefined) {
    sink.invoked_(target, args, size);
  } else {
    sink.receivedCall_(type, id, target, args, size, streams, headers);
  }
}

/** One record that was parsed, of about so many bytes. */
function message(parsed: PlainInvocation | null, size: number, sink: Sink): void {
  if (parsed !== null && parsed.type === 1) {
    const { target, arguments: args } = parsed;
    const isPlain = parsed.invocationId === undefined && parsed.headers === undefined && parsed.streamIds === undefined;
    if (isPlain && typeof target === "string" && target !== "" && Array.isArray(args)) {
      return sink.invoked_(target, args, size);
    }
  }
  other(parsed, size, sink);
}

function other(parsed: unknown, size: number, sink: Sink): void {
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw wrong("message", "a JSON object");
  }
  const envelope = parsed as Envelope;
  const type = envelope["type"];
  switch (type) {
    case 1:
    case 4:
      return call(type, envelope, size, sink);
    case 2: {
      const id = needed(envelope, "invocationId");
      if (!("item" in envelope)) {
        throw missing("item");
      }
      return sink.receivedItem_(id, envelope["item"], size);
    }
    case 3: {
      const id = needed(envelope, "invocationId");
      const error = text(envelope, "error");
      const hasValue = "result" in envelope;
      if (hasValue && typeof envelope["error"] === "string") {
        throw errorAndResult();
      }
      return sink.receivedCompletion_(id, hasValue, envelope["result"], size, error);
    }
    case 5:
      return sink.receivedControl_(type, needed(envelope, "invocationId"), 0);
    case 6:
      return sink.receivedControl_(type, undefined, 0);
    case 7: {
      const error = text(envelope, "error");
      const allow = envelope["allowReconnect"] ?? false;
      const after = envelope["retryAfterMs"] ?? -1;
      if (typeof allow !== "boolean") {
        throw wrong("allowReconnect", "a boolean");
      }
      if (typeof after !== "number" || !Number.isInteger(after)) {
        throw wrong("retryAfterMs", "an integer of at least 0");
      }
      return sink.receivedClose_(error, allow, after);
    }
    case 8:
    case 9:
      return sink.receivedControl_(type, undefined, sequence(envelope));
    case undefined:
      throw missing("type");
    default:
      // Types of the future are ignored.
      if (typeof type !== "number" || !Number.isInteger(type)) {
        throw wrong("type", "an integer");
      }
  }
}

function parse(record: string): PlainInvocation | null {
  try {
    return JSON.parse(record) as PlainInvocation | null;
  } catch {
    // The browser's text quotes what it read.
    throw new ProtocolFault("The message is not valid JSON.");
  }
}

const property = (name: string, json: string): string => `,"${name}":${json}`;
const optional = (name: string, value: string | undefined): string =>
  value === undefined ? "" : property(name, stringify(value));

const headersProperty = (flat: FlatHeaders | undefined): string =>
  flat ? property("headers", stringify(headersFrom(flat))) : "";

const record = (type: number, properties: string): string => `{"type":${type}${properties}}${SEPARATOR}`;
const PING = record(6, "");
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The hub protocol `json`, which every server speaks. */
export class JsonHubProtocol implements Codec {
  readonly name = "json";
  readonly version = 2;
  /** `TransferFormat.Text` */
  readonly transferFormat = 1;
  readonly encoding_ = 0;

  write_(value: unknown): Encoded {
    const json = stringify(value);
    if (json === undefined) {
      throw new TypeError("The value cannot be written as JSON.");
    }
    return new Encoded(json);
  }

  call_(type: number, id: string | undefined, target: string, args: Encoded, streams: string[] | undefined, headers: FlatHeaders | undefined): string {
    const own = headersProperty(headers) + optional("invocationId", id) + property("target", stringify(target));
    const rest = property("arguments", args.data as string) + (streams ? property("streamIds", stringify(streams)) : "");
    return record(type, own + rest);
  }

  item_(id: string, item: Encoded): string {
    return record(2, optional("invocationId", id) + property("item", item.data as string));
  }

  completion_(id: string, value: Encoded | undefined, error: string | undefined): string {
    return record(3, optional("invocationId", id) + (value ? property("result", value.data as string) : optional("error", error)));
  }

  control_(type: number, text: string | undefined, number: number): string {
    switch (type) {
      case 6:
        return PING;
      case 5:
        return record(type, optional("invocationId", text));
      case 7:
        return record(type, optional("error", text));
      default:
        return record(type, property("sequenceId", String(number)));
    }
  }

  join_(frames: string[]): string {
    return frames.join("");
  }

  decode_(data: string | Uint8Array, limit: number, sink: Sink): string | undefined {
    if (typeof data !== "string") {
      try {
        data = utf8.decode(data);
      } catch {
        throw new ProtocolFault("The message is not valid JSON: it is not UTF-8.");
      }
    }
    const last = data.length - 1;
    let end = data.indexOf(SEPARATOR);
    if (end === last && end >= 0) {
      check(last, limit);
      message(parse(data.slice(0, last)), last, sink);
      return undefined;
    }
    let start = 0;
    for (; end >= 0; end = data.indexOf(SEPARATOR, start)) {
      check(end - start, limit);
      message(parse(data.slice(start, end)), end - start, sink);
      start = end + 1;
    }
    check(data.length - start, limit);
    return start <= last ? data.slice(start) : undefined;
  }
}

function check(size: number, limit: number): void {
  if (size >= limit) {
    throw new TooLarge();
  }
}
