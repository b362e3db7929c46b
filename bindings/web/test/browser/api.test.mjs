// The API on every transport and with both encodings, against the interop hub (tests/interop/HUB.md).
import * as hubwire from "/dist/index.js";
import { MessagePackHubProtocol } from "/dist/msgpack.js";
import { assert, describe, Events, harness, test } from "/test/page/harness.js";

const ENCODINGS = { json: () => new hubwire.JsonHubProtocol(), messagepack: () => new MessagePackHubProtocol() };

function build(defer, transport, encoding, configure = (builder) => builder) {
  const builder = new hubwire.HubConnectionBuilder()
    .withUrl(harness.proxy.url, { transport: hubwire.HttpTransportType[transport] })
    .withHubProtocol(ENCODINGS[encoding]())
    .configureLogging(hubwire.LogLevel.None);
  const connection = configure(builder).build();
  defer(() => connection.stop());
  return connection;
}

for (const [transport, encoding] of [
  ["WebSockets", "json"],
  ["WebSockets", "messagepack"],
  ["ServerSentEvents", "json"],
  ["LongPolling", "json"],
  ["LongPolling", "messagepack"],
]) {
  describe(`${transport}, ${encoding}`, () => {
    const value = { text: "héllo ✓ 😀", list: [1, 2.5, null, true], deep: { a: { b: [] } } };

    test("invokes", async ({ defer }) => {
      const connection = build(defer, transport, encoding);
      await connection.start();
      assert.equal(connection.state, "Connected");
      assert.deepEqual(await connection.invoke("Echo", value), value);
      assert.equal(await connection.invoke("Add", 40, 2), 42);
      await assert.rejects(connection.invoke("ThrowHub", "no"), /no/);
      await connection.stop();
      assert.equal(connection.state, "Disconnected");
    });

    test("gets calls of the server, in order", async ({ defer }) => {
      const connection = build(defer, transport, encoding);
      const got = new Events();
      connection.on("event", (value) => got.push(value));
      await connection.start();
      await connection.send("ToCaller", "event", value);
      assert.deepEqual(await got.next("the value"), value);
      assert.equal(await connection.invoke("PushMany", "event", 100), 100);
      for (let i = 0; i < 100; i++) assert.equal(await got.next(`value ${i}`), i);
    });

    test("streams both ways", async ({ defer }) => {
      const connection = build(defer, transport, encoding);
      await connection.start();
      const items = [];
      for await (const item of connection.stream("Count", 20, 0)) items.push(item);
      assert.deepEqual(items, Array.from({ length: 20 }, (_, i) => i));
      const subject = new hubwire.Subject();
      const sum = connection.invoke("Sum", subject);
      for (const item of [1, 2, 3]) subject.next(item);
      subject.complete();
      assert.equal(await sum, 6);
    });
  });
}
