// The JavaScript codecs read and write what the golden vectors say (tests/vectors/README.md), as the Rust ones do.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Decoder } from "@msgpack/msgpack";
import { sources } from "./bundle.mjs";

const [{ JsonHubProtocol }, { MessagePackHubProtocol }, { ProtocolFault }, payloads, responses, { Input }] = await sources(
  "json", "messagepack", "codec", "payloads", "negotiate", "inputs",
);
const vectors = (name) => JSON.parse(readFileSync(new URL(`../../../../tests/vectors/${name}.json`, import.meta.url), "utf8"));
const CODECS = { json: new JsonHubProtocol(), messagepack: new MessagePackHubProtocol() };
const LIMIT = 1 << 24;
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");

/** Notes messages as the vectors write them. */
class Notes {
  messages = [];

  #call(type, id, target, args, streams, headers) {
    const message = { type };
    if (headers) message.headers = Object.fromEntries(headers.flatMap((name, i) => (i % 2 ? [] : [[name, headers[i + 1]]])));
    if (id !== undefined) message.invocationId = id;
    Object.assign(message, { target, arguments: args });
    if (streams) message.streamIds = streams;
    this.messages.push(message);
  }

  invoked_(target, args) {
    this.#call(1, undefined, target, args);
  }

  receivedCall_(type, id, target, args, _size, streams, headers) {
    this.#call(type, id, target, args, streams, headers);
  }

  receivedItem_(invocationId, item) {
    this.messages.push({ type: 2, invocationId, item });
  }

  receivedCompletion_(invocationId, hasValue, result, _size, error) {
    this.messages.push({ type: 3, invocationId, ...(hasValue && { result }), ...(error !== undefined && { error }) });
  }

  receivedControl_(type, invocationId, sequenceId) {
    this.messages.push({ type, ...(type === 5 && { invocationId }), ...(type >= 8 && { sequenceId }) });
  }

  receivedClose_(error, allowReconnect, retryAfter) {
    const more = { ...(allowReconnect && { allowReconnect }), ...(retryAfter >= 0 && { retryAfterMs: retryAfter }) };
    this.messages.push({ type: 7, ...(error !== undefined && { error }), ...more });
  }
}

function read(encoding, data) {
  const notes = new Notes();
  const rest = CODECS[encoding].decode_(data, LIMIT, notes);
  const messages = notes.messages.map((message) => ("item" in message ? { ...message, item: same(message.item) } : message));
  return { messages, rest };
}

/** `{"$msgpack": hex}` stands for a value that JSON cannot say. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if ("$msgpack" in value) return same(new Decoder().decode(bytes(value.$msgpack)));
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

/** The test and the bundle have a class for extensions each. */
const same = (value) => (value?.constructor?.name === "ExtData" ? { extension: value.type, data: [...value.data] } : value);

/** What is read: headers of items, completions and cancellations are for nobody, and empty means none. */
function expected(message) {
  const { headers, ...rest } = plain(message);
  const has = headers && [1, 4].includes(rest.type) && Object.keys(headers).length > 0;
  return { ...(has && { headers }), ...rest };
}

function write(encoding, message) {
  const codec = CODECS[encoding];
  const payload = (value) => {
    // Values that JSON cannot say are compared as they are.
    if (encoding === "messagepack" && JSON.stringify(value).includes("$msgpack")) return undefined;
    return codec.write_(value);
  };
  const headers = message.headers && Object.entries(message.headers).flat();
  switch (message.type) {
    case 1:
    case 4: {
      const args = payload(message.arguments);
      return args && codec.call_(message.type, message.invocationId, message.target, args, message.streamIds, headers);
    }
    case 2: {
      const item = payload(message.item);
      return item && !headers && codec.item_(message.invocationId, item);
    }
    case 3: {
      if (headers) return undefined;
      if (!("result" in message)) return codec.completion_(message.invocationId, undefined, message.error);
      const value = payload(message.result);
      return value && codec.completion_(message.invocationId, value, undefined);
    }
    case 5:
      return headers ? undefined : codec.control_(5, message.invocationId, 0);
    case 7:
      // Clients do not invite anybody to come back.
      return message.allowReconnect || message.retryAfterMs !== undefined ? undefined : codec.control_(7, message.error, 0);
    default:
      return codec.control_(message.type, undefined, message.sequenceId ?? 0);
  }
}

let written = 0;
for (const { name, message, json, messagepack } of vectors("messages").vectors) {
  test(`message ${name}`, () => {
    for (const text of [json?.canonical, json?.official].filter(Boolean)) {
      assert.deepEqual(read("json", text), { messages: [expected(message)], rest: undefined });
    }
    for (const data of [messagepack?.canonical, messagepack?.official, messagepack?.decode].filter(Boolean)) {
      assert.deepEqual(read("messagepack", bytes(data)), { messages: [expected(message)], rest: undefined });
    }
    if (json?.canonical) {
      const text = write("json", message);
      if (text) {
        // The same message; property order and number forms are the engine's.
        assert.deepEqual(JSON.parse(text.slice(0, -1)), JSON.parse(json.canonical.slice(0, -1)));
        assert.ok(text.endsWith("\u001e"));
        written += 1;
      }
    }
    if (messagepack?.canonical) {
      const data = write("messagepack", message);
      if (data) {
        assert.deepEqual(read("messagepack", data), read("messagepack", bytes(messagepack.canonical)));
        written += 1;
      }
    }
  });
}

test("most messages were written, too", () => assert.ok(written > 60, `only ${written}`));

for (const vector of vectors("leniency").vectors) {
  test(`leniency ${vector.encoding} ${vector.name}`, () => {
    const { messages } = read(vector.encoding, vector.text ?? bytes(vector.hex));
    const all = vector.messages ?? (vector.message === null ? [] : [vector.message]);
    assert.deepEqual(messages, all.map(expected));
  });
}

for (const vector of vectors("malformed").vectors) {
  test(`malformed ${vector.encoding} ${vector.name}`, () => {
    const data = vector.text ?? bytes(vector.hex);
    if (vector.incomplete) {
      const { messages, rest } = read(vector.encoding, data);
      assert.deepEqual(messages, []);
      assert.deepEqual(rest, data);
      return;
    }
    if (vector.encoding === "json" && vector.name.endsWith("is-too-large")) {
      // 2^63 and 2^63 - 1, which is the largest, are the same number in JavaScript.
      assert.equal(read("json", data).messages[0].sequenceId, 2 ** 63);
      return;
    }
    assert.throws(
      () => read(vector.encoding, data),
      (error) => error instanceof ProtocolFault && error.message.includes(vector.reason),
    );
  });
}

test("chunks may be cut anywhere", () => {
  for (const [encoding, data] of [
    ["json", '{"type":6}\u001e{"type":1,"target":"é","arguments":[]}\u001e'],
    ["messagepack", bytes("0291060c960180c0a453656e64910190")],
  ]) {
    for (let cut = 0; cut <= data.length; cut++) {
      const first = read(encoding, data.slice(0, cut));
      const head = first.rest ?? data.slice(0, 0);
      const whole = typeof data === "string" ? head + data.slice(cut) : Uint8Array.of(...head, ...data.slice(cut));
      const second = read(encoding, whole);
      assert.equal(first.messages.length + second.messages.length, 2, `cut at ${cut}`);
      assert.equal(second.rest, undefined);
    }
  }
});

/** The calls of the core, by name. */
function core() {
  const calls = [];
  return { calls, core: new Proxy({}, { get: (_, name) => (...args) => void calls.push([name, ...args]) }) };
}

for (const { name, text, response, reason, incomplete } of vectors("handshake").responses) {
  if (incomplete || text === undefined) continue;
  test(`handshake response ${name}`, () => {
    const { calls, core: connection } = core();
    responses.handshaken(connection, 0, 1, text.slice(0, text.indexOf("\u001e")));
    const [, kind, , link, , malformed, error] = calls[0];
    assert.deepEqual([calls.length, kind, link, malformed], [1, Input.Handshaken, 1, reason === undefined ? 0 : 1]);
    if (reason === undefined) assert.equal(error, response.error);
    else assert.ok(error.includes(reason), error);
  });
}

const number = (value) => (value === undefined ? -1 : value);
for (const { name, body, response, reason } of vectors("negotiate").vectors) {
  test(`negotiate response ${name}`, () => {
    const { calls, core: connection } = core();
    responses.negotiated(connection, 0, 7, body);
    assert.equal(calls.length, 1);
    const [method, ...args] = calls[0];
    if (reason !== undefined) {
      assert.deepEqual([method, args[0], args[4]], ["input", Input.Refused, 1]);
      assert.ok(args[5].includes(reason), args[5]);
    } else if (response.error !== undefined) {
      assert.deepEqual([method, args[0], args[4], args[5]], ["input", Input.Refused, 0, response.error]);
    } else if (response.redirect !== undefined) {
      const { url, accessToken } = response.redirect;
      assert.deepEqual([method, args[0], args[5], args[6]], ["input", Input.Redirected, url, accessToken]);
    } else {
      const [, request, all, transports, features] = args;
      const [id, token, version, stateful, lifetime, extensions, epoch, window] = all;
      const known = transports.filter(([transport]) => ["WebSockets", "ServerSentEvents", "LongPolling"].includes(transport));
      const offered = response.availableTransports.map(({ transport, transferFormats }) => [
        transport,
        transferFormats.reduce((bits, format) => bits | { Text: 1, Binary: 2 }[format], 0),
      ]);
      assert.deepEqual(
        { request, id, token: token ?? id, version, stateful, lifetime },
        {
          request: 7,
          id: response.connectionId,
          token: response.transportId,
          version: Math.min(response.version, 1),
          stateful: response.useStatefulReconnect,
          lifetime: number(response.tokenLifetimeSeconds),
        },
      );
      assert.deepEqual(known, offered);
      assert.equal(extensions >= 0, response.hubwire !== undefined && response.hubwire !== null);
      if (extensions > 0) {
        // The core leaves out what it does not know.
        assert.deepEqual(features, response.hubwire.features);
        assert.deepEqual([epoch, window], [response.hubwire.epoch, number(response.hubwire.dedupeWindowMs)]);
      }
    }
  });
}

/** What comes over the border for a slot that has these arguments. */
function inSlot(value, use) {
  const slot = payloads.keep(value, 100);
  try {
    return use(slot);
  } finally {
    payloads.release(slot);
  }
}

for (const vector of vectors("delivery").vectors) {
  if (vector.kind === "position") continue;
  test(`delivery ${vector.name}`, () => {
    const before = payloads.live();
    if (vector.kind === "id") {
      assert.equal(inSlot(vector.arguments, payloads.messageId) ?? null, vector.id);
    } else if (vector.kind === "batch") {
      const flat = inSlot(vector.arguments, payloads.members);
      if (vector.members === null) return assert.equal(flat, undefined);
      const found = [];
      for (let i = 0; i < flat.length; i += 2) {
        const member = {};
        if (flat[i] !== null) member.arguments = payloads.take(flat[i]);
        if (flat[i + 1] !== null) member.id = flat[i + 1];
        found.push(member);
      }
      assert.deepEqual(found, vector.members);
    } else if (vector.kind === "change") {
      const found = inSlot(vector.arguments, (slot) => payloads.delta(slot, "taskId\nkey"));
      if (vector.delta === null) return assert.equal(found, undefined);
      const [key, base, sequence, isInOrder] = found;
      const order = !isInOrder ? "malformed" : base !== null ? "next" : sequence !== null ? "full" : "unordered";
      const places = { next: { base, sequence }, full: { sequence } }[order] ?? {};
      assert.deepEqual({ key, order, ...places }, vector.delta);
    } else {
      assert.equal(vector.kind, "merge");
      const base = structuredClone(vector.object);
      const merged = inSlot([vector.object], (object) =>
        inSlot([vector.change], (change) => payloads.merge(change, object, vector.nullRemoves ?? true)),
      );
      assert.deepEqual(payloads.take(merged), [vector.merged]);
      assert.deepEqual(vector.object, base);
    }
    assert.equal(payloads.live(), before);
  });
}
