// What a server sends that JavaScript cannot read, or that is no message at all: that is reported, and the rest arrives.
import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@hubwire/node";
import { MessagePackHubProtocol } from "@hubwire/node/msgpack";
import { encode } from "@msgpack/msgpack";
import { assert, describe, Events, test, within } from "../lib/harness.mjs";
import { framed, invocation, messages, serve, text } from "../lib/raw-server.mjs";

const bytes = (...values) => Uint8Array.from(values);

/** Values that are right in MessagePack, and that the decoder of JavaScript refuses. */
const UNREADABLE = {
  "a timestamp of a wrong length": bytes(0xc7, 3, 0xff, 1, 2, 3),
  "a map with a key that is a boolean": bytes(0x81, 0xc3, 1),
  "a map with a key that is a list": bytes(0x81, 0x91, 1, 1),
  "a map with a key that is a map": bytes(0x81, 0x80, 1),
  "a map with the key __proto__": bytes(0x81, 0xa9, ...Buffer.from("__proto__"), 1),
};

/** Values that are unusual, and can be read. */
const READABLE = {
  "a timestamp far away": bytes(0xd7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  "an extension that nobody knows": bytes(0xd4, 5, 1),
  "text that is no UTF-8": bytes(0xa2, 0xc3, 0x28),
  "a number that JavaScript has not": bytes(0xcf, 255, 255, 255, 255, 255, 255, 255, 255),
};

async function connect(defer, serverSays, configure = (builder) => builder, options = {}) {
  const server = await serve(serverSays);
  defer(server.stop);
  const log = new Events();
  const logger = { log: (level, message) => level >= LogLevel.Error && log.push(message) };
  const builder = new HubConnectionBuilder().withUrl(server.url, options).configureLogging(logger);
  const connection = configure(builder).build();
  defer(() => connection.stop());
  return { connection, log, server };
}

const messagePack = (builder) => builder.withHubProtocol(new MessagePackHubProtocol());

describe("MessagePack that JavaScript cannot read", () => {
  for (const [what, value] of Object.entries(UNREADABLE)) {
    test(`${what}, in the arguments: it is reported, and the messages around it arrive`, async ({ defer }) => {
      const { connection, log } = await connect(defer, (client, data) => {
        if (data) return;
        client.send(Buffer.concat([invocation("event", encode(1)), invocation("broken", value), invocation("event", encode(2))]));
      }, messagePack);
      const got = new Events();
      connection.on("event", got.push);
      connection.on("broken", () => got.push("the broken one"));
      await connection.start();
      assert.deepEqual(await got.count(2, "the two that can be read"), [1, 2]);
      assert.match(log.all.join(), /The arguments of 'broken' cannot be read/);
      assert.equal(connection.state, "Connected");
    });

    test(`${what}, in a result and in an item: the call fails with its kind, others go on`, async ({ defer }) => {
      const { connection } = await connect(defer, (client, data) => {
        for (const [, , id, target] of data ? messages("messagepack", data) : []) {
          if (target === "Good") client.send(framed(Buffer.from(encode([3, {}, id, 3, "fine"]))));
          if (target === "Bad") client.send(framed(Buffer.concat([Buffer.from([0x95, 3, 0x80]), encode(id), Buffer.from([3]), value])));
          if (target === "Items") client.send(framed(Buffer.concat([Buffer.from([0x94, 2, 0x80]), encode(id), value])));
        }
      }, messagePack);
      await connection.start();
      const error = await assert.rejects(within("the end of the call", connection.invoke("Bad")), /cannot be read/);
      assert.equal(error.kind, "Protocol");
      const ended = new Promise((resolve) => connection.stream("Items").subscribe({ next: () => {}, complete: resolve, error: resolve }));
      assert.equal((await within("the end of the stream", ended)).kind, "Protocol");
      assert.equal(await connection.invoke("Good"), "fine");
    });

    test(`${what}, where the server waits for an answer: it gets an error`, async ({ defer }) => {
      let answered;
      const answer = new Promise((resolve) => (answered = resolve));
      const { connection } = await connect(defer, (client, data) => {
        if (!data) client.send(invocation("broken", value, "7"));
        else messages("messagepack", data).forEach(answered);
      }, messagePack);
      connection.on("broken", () => "never");
      await connection.start();
      const [type, , id, kind, message] = await within("the answer", answer);
      assert.deepEqual([type, id, kind], [3, "7", 1]);
      assert.match(message, /cannot be read/);
    });
  }

  for (const [what, value] of Object.entries(READABLE)) {
    test(`${what} arrives as something`, async ({ defer }) => {
      const { connection } = await connect(defer, (client, data) => {
        if (!data) client.send(Buffer.concat([invocation("event", value), invocation("event", encode("next"))]));
      }, messagePack);
      const got = new Events();
      connection.on("event", (value) => got.push({ value }));
      await connection.start();
      await got.count(2, "both messages");
      assert.equal(got.all[1].value, "next");
    });
  }
});

describe("what is no message", () => {
  const FRAMES = {
    "text that is no JSON": ["json", "no json\u001e"],
    "JSON that is cut off": ["json", '{"type":1,"target":"x","arg\u001e'],
    "an invocation without a target": ["json", text({ type: 1, arguments: [] })],
    "an invocation whose arguments are no list": ["json", text({ type: 1, target: "x", arguments: { a: 1 } })],
    "a type that is no number": ["json", text({ type: "1" })],
    "a string with a bad escape": ["json", '{"type":1,"target":"x","arguments":["\\x"]}\u001e'],
    "a string with a control character": ["json", '{"type":1,"target":"x","arguments":["\n\u0001"]}\u001e'],
    "a number with a leading zero": ["json", '{"type":1,"target":"x","arguments":[01]}\u001e'],
    "a list with a comma too many": ["json", '{"type":1,"target":"x","arguments":[1,]}\u001e'],
    "NaN": ["json", '{"type":1,"target":"x","arguments":[NaN]}\u001e'],
    "MessagePack that is cut off": ["messagepack", framed(Buffer.from([0x96, 1, 0x80]))],
    "MessagePack that is no list": ["messagepack", framed(Buffer.from([0x80]))],
    "a byte that MessagePack has not": ["messagepack", invocation("x", bytes(0xc1))],
    "a length that is too long": ["messagepack", Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    "nothing but zeros": ["messagepack", Buffer.alloc(100)],
  };
  for (const [what, [encoding, frame]] of Object.entries(FRAMES)) {
    test(`${what}: what came before it arrives, and the connection says what is wrong or goes on`, async ({ defer }) => {
      const good = encoding === "json" ? text({ type: 1, target: "event", arguments: [1] }) : invocation("event", encode(1));
      const { connection } = await connect(
        defer,
        (client, data) => {
          if (!data) client.send(Buffer.concat([Buffer.from(good), Buffer.from(frame), Buffer.from(good)]));
        },
        encoding === "json" ? undefined : messagePack,
      );
      const got = new Events();
      connection.on("event", () => got.push("event"));
      connection.onclose((error) => got.push(error));
      await connection.start();
      await got.count(2, "the message before, and an end or the message behind");
      assert.equal(got.all[0], "event");
      if (got.all[1] !== "event") assert.ok(["Protocol", "Overflow"].includes(got.all[1]?.kind), String(got.all[1]));
    });
  }

  for (const transport of ["WebSockets", "ServerSentEvents", "LongPolling"]) {
    test(`bytes that are no UTF-8, over ${transport}: nothing is thrown, and the connection ends or goes on`, async ({ defer }) => {
      const { connection } = await connect(defer, (client, data) => {
        if (data) return;
        const message = Buffer.from(text({ type: 1, target: "event", arguments: ["??"] }));
        message[message.indexOf("??")] = 0xff;
        client.send(Buffer.concat([Buffer.from(text({ type: 1, target: "event", arguments: ["first"] })), message]));
      }, undefined, { transport: HttpTransportType[transport] });
      const got = new Events();
      connection.on("event", (value) => got.push(value));
      connection.onclose((error) => got.push(error));
      // A WebSocket that is broken before the handshake was read does not start.
      await connection.start().catch((error) => got.push(error));
      await got.until((all) => all.length >= 2 || all[0] instanceof Error, "an end, or both messages");
    });
  }
});

describe("JSON that is right and unusual", () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const VALUES = {
    "a number beyond all numbers": ["1e999", (value) => value === Infinity],
    "the key __proto__": ['{"__proto__":{"polluted":1}}', (value) => Object.keys(value)[0] === "__proto__" && {}.polluted === undefined],
    "two keys that are the same": ['{"a":1,"a":2}', (value) => value.a === 2],
    "a lone surrogate": ['"\\ud800"', (value) => value === "\ud800"],
    "line separators": ['"\u2028\u2029"', (value) => value === "\u2028\u2029"],
    "white space of every kind": [" \t\r\n[ 1 ]\n", (value) => value[0] === 1],
    "a key with a zero": ['{"\\u0000":1}', (value) => value["\0"] === 1],
    "a text of a megabyte with a letter at its end": [JSON.stringify(`${"a".repeat(1_000_000)}é`), (value) => value.length === 1_000_001],
  };
  for (const [what, [json, check]] of Object.entries(VALUES)) {
    test(`${what} arrives`, async ({ defer }) => {
      const { connection } = await connect(defer, (client, data) => {
        if (!data) client.send(`{"type":1,"target":"event","arguments":[${json}]}\u001e${text({ type: 1, target: "event", arguments: ["next"] })}`);
      });
      const got = new Events();
      connection.on("event", (value) => got.push({ value }));
      await connection.start();
      await got.count(2, "both messages");
      assert.ok(check(got.all[0].value), "it is not what was sent");
      assert.equal(got.all[1].value, "next");
    });
  }

  test("a hundred thousand lists in each other: it arrives, or the connection says what is wrong", async ({ defer }) => {
    const { connection } = await connect(defer, (client, data) => {
      if (!data) client.send(`{"type":1,"target":"event","arguments":[${deep}]}\u001e${text({ type: 1, target: "event", arguments: [1] })}`);
    });
    const got = new Events();
    connection.on("event", () => got.push("event"));
    connection.onclose((error) => got.push(error.kind));
    await connection.start();
    await got.until((all) => all.length >= 2 || all[0] === "Protocol", "both, or the end");
  });
});
