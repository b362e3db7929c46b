// Values of every type for every argument of every public method: they work, or an error says what was wrong, and the connection goes on.
import * as hubwire from "@hubwire/node";
import { assert, describe, harness, show, test, within } from "../lib/harness.mjs";

const { HubConnectionBuilder, HubError, HubManager, Subject } = hubwire;

const VALUES = [
  undefined, null, 0, 1, -1, 1.5, NaN, Infinity, true, "", "x", "\ud800", {}, [], [null], Symbol("s"), 1n, () => {},
  new Proxy({}, {}), Object.create(null), new Date(0), new Uint8Array(2), Promise.resolve(1), /x/, new Map([[1, 2]]),
];

/** What must be said by no error: names of what is underneath. */
const FOREIGN = /rust|napi|serde|f64|u32|usize|\[object Object\] is not/i;

const url = () => harness.server.url;
const build = (options) => new HubConnectionBuilder().withUrl(url(), options).configureLogging("none");

const read = (stream) =>
  new Promise((resolve, reject) => stream.subscribe({ next: () => {}, complete: resolve, error: reject }));

function assertTyped(error, what) {
  assert.ok(error instanceof Error, `${what}: ${show(error)} is no error`);
  assert.ok(error.message.length > 0, `${what}: an error without a text`);
  if (error instanceof HubError) {
    assert.ok(typeof error.kind === "string", `${what}: an error without a kind`);
    assert.ok(!FOREIGN.test(error.message), `${what}: ${error.message}`);
  } else {
    // Of JavaScript, or texts of the official client; what comes from the native module always has a kind.
    assert.ok([TypeError, RangeError, Error].includes(error.constructor), `${what}: a ${error.constructor.name}`);
    assert.equal(error.code, undefined, `${what}: ${error.message}`);
  }
}

const describeValue = (value) => (typeof value === "symbol" || value === undefined ? String(value) : show(value));

/** Functions of a connection and one value. Promises are waited for. */
const CONNECTION = {
  "send, its method": (c, v) => c.send(v),
  "send, an argument": (c, v) => c.send("Void", v),
  "invoke, its method": (c, v) => c.invoke(v),
  "invoke, an argument": (c, v) => c.invoke("Echo", v),
  "invoke, the second argument": (c, v) => c.invoke("Add", 1, v),
  "stream, its method": (c, v) => read(c.stream(v)),
  "stream, an argument": (c, v) => read(c.stream("Count", v, 0)),
  "stream, its subscriber": (c, v) => c.stream("Count", 1, 0).subscribe(v),
  "streamCall, its method": (c, v) => read(c.streamCall(v)),
  "streamCall, its arguments": (c, v) => read(c.streamCall("Count", v)),
  "streamCall, its options": (c, v) => read(c.streamCall("Count", [1, 0], v)),
  "call, its method": (c, v) => c.call(v),
  "call, its arguments": (c, v) => c.call("Echo", v),
  "call, its options": (c, v) => c.call("Echo", [1], v),
  "on, its method": (c, v) => c.on(v, () => {}),
  async "on, its handler"(c, v) {
    c.on("event", v);
    await c.invoke("ToCaller", "event", 1);
    c.off("event");
  },
  "off, its method": (c, v) => c.off(v),
  "off, its handler": (c, v) => c.off("event", v),
  onclose: (c, v) => c.onclose(v),
  onreconnecting: (c, v) => c.onreconnecting(v),
  onreconnected: (c, v) => c.onreconnected(v),
  onStateChanged: (c, v) => c.onStateChanged(v),
  "onEvent, its name": (c, v) => c.onEvent(v, () => {}),
  "onEvent, its callback": (c, v) => c.onEvent("resumed", v),
  acknowledge: (c, v) => c.acknowledge(v),
  "nack, the id": (c, v) => c.nack(v, "x"),
  "nack, the reason": (c, v) => c.nack("x", v),
  hint: (c, v) => c.hint(v),
  "a subject's next": (c, v) => uploaded(c, (subject) => subject.next(v)),
  "a subject's error": (c, v) => uploaded(c, (subject) => subject.error(v)),
  "a subject's subscriber": (_, v) => void new Subject().subscribe(v),
  "start, with something": (c, v) => c.start(v),
};
for (const option of ["kind", "signal", "timeout", "expiresAfter", "priority", "supersedeKey", "idempotent", "durable", "queue"]) {
  CONNECTION[`call, the option ${option}`] = (c, v) => c.call("Echo", [1], { [option]: v });
}
for (const option of ["signal", "timeout", "bufferSize", "priority"]) {
  CONNECTION[`streamCall, the option ${option}`] = (c, v) => read(c.streamCall("Count", [1, 0], { [option]: v }));
}
/** Some values end what they are given to. */
const SETTERS = {
  serverTimeoutInMilliseconds: (c, v) => (c.serverTimeoutInMilliseconds = v),
  keepAliveIntervalInMilliseconds: (c, v) => (c.keepAliveIntervalInMilliseconds = v),
};

async function uploaded(connection, feed) {
  const subject = new Subject();
  const sum = connection.invoke("Sum", subject);
  feed(subject);
  subject.complete();
  await sum;
}

const BUILDER = {
  "withUrl, the address": (b, v) => b.withUrl(v),
  "withUrl, the options": (b, v) => b.withUrl(url(), v),
  configureLogging: (b, v) => b.configureLogging(v),
  withHubProtocol: (b, v) => b.withHubProtocol(v),
  withAutomaticReconnect: (b, v) => b.withAutomaticReconnect(v),
  "withAutomaticReconnect, a delay": (b, v) => b.withAutomaticReconnect([v]),
  "withAutomaticReconnect, a policy": (b, v) => b.withAutomaticReconnect({ nextRetryDelayInMilliseconds: v }),
  "withAutomaticReconnect, a schedule": (b, v) => b.withAutomaticReconnect({ type: v }),
  "withAutomaticReconnect, the options": (b, v) => b.withAutomaticReconnect([0], v),
  withServerTimeout: (b, v) => b.withServerTimeout(v),
  withKeepAliveInterval: (b, v) => b.withKeepAliveInterval(v),
  withHandshakeTimeout: (b, v) => b.withHandshakeTimeout(v),
  withCallTimeout: (b, v) => b.withCallTimeout(v),
  withStatefulReconnect: (b, v) => b.withStatefulReconnect(v),
  "withStatefulReconnect, bufferSize": (b, v) => b.withStatefulReconnect({ bufferSize: v }),
  withOutbox: (b, v) => b.withOutbox(v),
  withDelivery: (b, v) => b.withDelivery(v),
  withJoins: (b, v) => b.withJoins(v),
  "withJoins, one": (b, v) => b.withJoins([v]),
  "withJoins, a method": (b, v) => b.withJoins([{ join: v }]),
  withQuality: (b, v) => b.withQuality(v),
  "withQuality, pingMethod": (b, v) => b.withQuality({ pingMethod: v }),
  withSession: (b, v) => b.withSession(v),
  withPositions: (b, v) => b.withPositions(v),
  "withPositions, one": (b, v) => b.withPositions([v]),
  withHubwireExtensions: (b, v) => b.withHubwireExtensions(v),
  withMaxMessageSize: (b, v) => b.withMaxMessageSize(v),
};
for (const option of ["jitter", "firstStart", "maxRetries"])
  BUILDER[`withAutomaticReconnect, ${option}`] = (b, v) => b.withAutomaticReconnect([0], { [option]: v });
for (const option of ["maxItems", "maxBytes", "whenFull", "window"])
  BUILDER[`withOutbox, ${option}`] = (b, v) => b.withOutbox({ [option]: v });
// Texts are names of files, which would be made.
BUILDER["withOutbox, store"] = (b, v) => b.withOutbox({ store: typeof v === "string" || v instanceof Date ? 5 : v });
for (const option of [
  "acks", "targets", "ackDelay", "ackWindow", "maxUnacknowledged", "unpackBatches", "mergeDeltas", "deltaKeys", "maxObjects",
  "maxObjectBytes", "maxHeldDeltas", "maxStreams",
]) {
  BUILDER[`withDelivery, ${option}`] = (b, v) => b.withDelivery({ [option]: v });
}
for (const option of [
  "headers", "transport", "skipNegotiation", "accessTokenFactory", "withCredentials", "timeout", "logger", "httpClient", "WebSocket",
  "EventSource", "logMessageContent",
]) {
  BUILDER[`withUrl, ${option}`] = (b, v) => b.withUrl(url(), { [option]: v });
}

describe("a connection", () => {
  for (const [what, call] of Object.entries(CONNECTION)) {
    test(what, async ({ defer }) => {
      const connection = build().build();
      defer(() => connection.stop());
      await connection.start();
      for (const value of VALUES) {
        const name = `${what} = ${describeValue(value)}`;
        try {
          await within(name, Promise.resolve(call(connection, value)), 3_000);
        } catch (error) {
          assertTyped(error, name);
        }
        // An upload of something that is no number, for one, may not end anything else.
        assert.equal(await within(`an answer after ${name}`, connection.invoke("Add", 1, 2)), 3, name);
      }
    });
  }

  for (const [what, set] of Object.entries(SETTERS)) {
    test(what, async ({ defer }) => {
      const connection = build().build();
      defer(() => connection.stop());
      for (const value of VALUES) {
        try {
          set(connection, value);
        } catch (error) {
          assertTyped(error, `${what} = ${describeValue(value)}`);
          continue;
        }
        assert.equal(typeof value, "number", `${what} took ${describeValue(value)}`);
      }
      set(connection, 20_000);
      await connection.start();
      assert.equal(await connection.invoke("Add", 1, 2), 3);
    });
  }

  test("baseUrl", async ({ defer }) => {
    const connection = build().build();
    defer(() => connection.stop());
    for (const value of VALUES) {
      const error = assert.throws(() => (connection.baseUrl = value), /./);
      assertTyped(error, describeValue(value));
    }
    await connection.start();
    assert.equal(await connection.invoke("Add", 1, 2), 3);
  });
});

describe("a builder", () => {
  for (const [what, set] of Object.entries(BUILDER)) {
    test(what, async () => {
      await harness.expectError(/./);
      for (const value of VALUES) {
        const name = `${what} = ${describeValue(value)}`;
        let connection;
        try {
          connection = set(build(), value).build();
          await within(`the start with ${name}`, connection.start(), 5_000);
          await within(`an answer with ${name}`, connection.invoke("Add", 1, 2), 5_000);
        } catch (error) {
          assertTyped(error, name);
        }
        await within(`the stop with ${name}`, connection?.dispose(), 8_000);
      }
    }, { timeout: 60_000 });
  }
});

describe("texts", () => {
  const TEXTS = {
    "The option 'serverTimeout' of the connection is not possible: invalid type: boolean `true`, expected a number": (b) => b.withServerTimeout(true),
    "The option 'outbox.maxItems' of the connection is not possible: invalid value: integer `-1`, expected a whole number that is not negative":
      (b) => b.withOutbox({ maxItems: -1 }),
    "The option 'delivery.acks' of the connection is not possible: expected a string": (b) => b.withDelivery({ acks: 5 }),
    "The option 'keepAliveInterval' of the connection is not possible: -1 is no time in milliseconds": (b) => b.withKeepAliveInterval(-1),
    "The option 'callTimeout' is not possible: NaN": (b) => b.withCallTimeout(NaN),
    "The option 'sessionId' is not possible: Symbol(x)": (b) => b.withSession(Symbol("x")),
  };
  for (const [text, set] of Object.entries(TEXTS)) {
    test(text, () => assert.equal(assert.throws(() => set(build()).build(), /./).message, text));
  }

  test("of calls name what is wrong", async ({ defer }) => {
    const connection = build().build();
    defer(() => connection.stop());
    await connection.start();
    const text = async (call) => (await assert.rejects(call, /./)).message;
    assert.equal(await text(connection.invoke(5)), "The name of a method must be a string, and is number.");
    assert.equal(await text(connection.invoke("")), "The name of a method must not be empty.");
    assert.equal(await text(connection.call("Echo", [1], { kind: "shout" })), "A call cannot be of the kind 'shout'.");
    assert.equal(
      await text(connection.call("Echo", [1], { timeout: "soon" })),
      "The option 'timeout' of the call is not possible: invalid type: string \"soon\", expected a number",
    );
  });
});

describe("a manager", () => {
  const MANAGER = {
    "its address": (v) => new HubManager(v),
    "its options": (v) => new HubManager(harness.server.url, v),
  };
  for (const [what, make] of Object.entries(MANAGER)) {
    test(what, async () => {
      for (const value of VALUES) {
        try {
          make(value);
        } catch (error) {
          assertTyped(error, `${what} = ${describeValue(value)}`);
        }
      }
    });
  }
});
