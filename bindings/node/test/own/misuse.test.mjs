// What an application does wrong besides types: each is an error that says so, and the connection goes on.
import * as hubwire from "@hubwire/node";
import { MessagePackHubProtocol } from "@hubwire/node/msgpack";
import { assert, describe, Events, harness, test, turn, within } from "../lib/harness.mjs";
import { run } from "../lib/processes.mjs";
import { serve, text } from "../lib/raw-server.mjs";

const { HubConnectionBuilder, HubError, LogLevel } = hubwire;
const ENCODINGS = { json: () => new hubwire.JsonHubProtocol(), messagepack: () => new MessagePackHubProtocol() };

function build(defer, configure = (builder) => builder, url = harness.server.url) {
  const connection = configure(new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None)).build();
  defer(() => connection.stop());
  return connection;
}

async function connect(defer, configure, url) {
  const connection = build(defer, configure, url);
  await connection.start();
  return connection;
}

const answers = async (connection) => assert.equal(await within("an answer", connection.invoke("Add", 1, 2)), 3);

/** Values that cannot be written, made anew for each test. */
const UNWRITABLE = {
  "an object that contains itself": () => {
    const value = {};
    value.self = value;
    return value;
  },
  "a toJSON that throws": () => ({
    toJSON() {
      throw new Error("of toJSON");
    },
    get value() {
      throw new Error("of a getter");
    },
  }),
  "a getter that throws": () => ({
    get value() {
      throw new Error("of a getter");
    },
  }),
  "a proxy that throws for everything": () =>
    new Proxy({}, new Proxy({}, { get: () => () => { throw new Error("of a proxy"); } })),
  "a proxy that was revoked": () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  "lists that are too deep": () => {
    let value = [];
    for (let i = 0; i < 1_000_000; i++) value = [value];
    return value;
  },
};

for (const [encoding, protocol] of Object.entries(ENCODINGS)) {
  const using = (builder) => builder.withHubProtocol(protocol());

  describe(`values that cannot be written in ${encoding}`, () => {
    for (const [what, make] of Object.entries(UNWRITABLE)) {
      test(what, async ({ defer }) => {
        const connection = await connect(defer, using);
        const value = make();
        for (const call of [
          () => connection.invoke("Echo", value),
          () => connection.send("Echo", value),
          () => connection.call("Echo", [value]),
          async () => connection.stream("Count", value),
        ]) {
          const error = await assert.rejects(within("the error", Promise.resolve().then(call)), /./);
          assert.ok(error instanceof Error, String(error));
        }
        // In an upload: the server is told why it ends.
        const subject = new hubwire.Subject();
        const sum = connection.invoke("Sum", subject);
        subject.next(value);
        await assert.rejects(within("the end of the upload", sum), /Sum/);
        // As an answer: the server gets an error.
        connection.on("ask", () => value);
        const answer = await within("the answer", connection.invoke("AskCaller", "ask", 1));
        assert.equal(answer.ok, false);
        assert.equal(connection.pendingCalls, 0);
        await answers(connection);
      });
    }

    test("texts with lone surrogates: they arrive as something, or are refused", async ({ defer }) => {
      const connection = await connect(defer, using);
      for (const value of ["\ud800", { "\udfff": "a\ud800b" }]) {
        // MessagePack writes them as what is no UTF-8, and what comes back may be anything.
        await connection.invoke("Echo", value).catch(({ kind }) => assert.ok(["Refused", "Protocol"].includes(kind), kind));
      }
      await assert.rejects(connection.invoke("\ud800"), /Unknown hub method/);
      connection.on("\ud800", () => {});
      connection.off("\ud800");
      await answers(connection);
    });

    test("a text of 200 MB: the server refuses it, or there is no room; the connection can be started again", async ({ defer }) => {
      const connection = await connect(defer, using);
      const closed = new Events();
      connection.onclose(closed.push);
      const error = await assert.rejects(within("the refusal", connection.invoke("Echo", "x".repeat(200_000_000)), 30_000), /./);
      assert.ok(error instanceof HubError || error instanceof RangeError, String(error));
      if (connection.state !== "Connected") {
        await connection.stop();
        await connection.start();
      }
      await answers(connection);
    }, { timeout: 60_000 });

    test("a method with a name of 50 MB", async ({ defer }) => {
      const connection = await connect(defer, using);
      const error = await assert.rejects(within("the refusal", connection.invoke("x".repeat(50_000_000)), 30_000), /./);
      assert.ok(error instanceof HubError, String(error));
      await connection.stop();
      await connection.start();
      await answers(connection);
    }, { timeout: 60_000 });
  });
}

describe("handlers", () => {
  for (const [what, handler] of Object.entries({
    "that throw": () => { throw new Error("of a handler"); },
    "that reject": async () => { throw new Error("of a handler"); },
    "that throw nothing": () => { throw undefined; },
    "that throw what has no text": () => { throw Object.create(null); },
    "that give a promise that is none": () => ({ then: (_, reject) => reject(new Error("of a thenable")) }),
    "that give a then that throws": () => ({ then() { throw new Error("of a then"); } }),
    "that give an object whose then is a getter that throws": () => ({ get then() { throw new Error("of a getter"); } }),
  })) {
    test(`${what}: the others get the message, and the next one comes`, async ({ defer }) => {
      const log = [];
      const connection = await connect(defer, (builder) => builder.configureLogging({ log: (level, line) => level >= 4 && log.push(line) }));
      const got = new Events();
      connection.on("event", handler);
      connection.on("event", got.push);
      for (const n of [1, 2]) await connection.send("ToCaller", "event", n);
      assert.deepEqual(await got.count(2, "both messages"), [1, 2]);
      const answer = await connection.invoke("AskCaller", "event", 1);
      assert.equal(typeof answer.ok, "boolean");
      await answers(connection);
    });
  }

  test("of everything else may throw: what comes behind comes", async ({ defer }) => {
    const throws = () => {
      throw new Error("of a callback");
    };
    const connection = build(defer, (builder) => builder.withAutomaticReconnect([0, 10, 10]), harness.proxy.url);
    const told = new Events();
    for (const name of ["onclose", "onreconnecting", "onreconnected"]) {
      connection[name](throws);
      connection[name](() => told.push(name));
    }
    connection.onStateChanged(throws);
    connection.onEvent("retryScheduled", throws);
    await connection.start();
    connection.stream("Count", 3, 0).subscribe({ next: throws, complete: throws, error: throws });
    await harness.proxy.cut();
    await told.count(2, "the new connection");
    await connection.stop();
    assert.deepEqual(told.all, ["onreconnecting", "onreconnected", "onclose"]);
  });

  test("a logger that throws: the error is the application's, and what comes behind in the same batch arrives", async ({ defer }) => {
    const server = await serve((client, data) => {
      if (data) return;
      const event = (target, n) => text({ type: 1, target, arguments: [n] });
      client.send(event("event", 1) + event("unknown", 2) + event("event", 3));
    });
    defer(server.stop);
    await harness.expectError(/uncaught: Error: of a logger/);
    const logger = { log: () => { throw new Error("of a logger"); } };
    const connection = new HubConnectionBuilder().withUrl(server.url).configureLogging(logger).build();
    defer(() => connection.stop());
    const got = new Events();
    connection.on("event", got.push);
    await connection.start();
    assert.deepEqual(await got.count(2, "the messages"), [1, 3]);
  });
});

describe("the order of commands", () => {
  test("calls before the start, after the stop and after the end are refused", async ({ defer }) => {
    const connection = build(defer);
    const refused = async () => {
      for (const call of [connection.invoke("Echo", 1), connection.send("Echo", 1), connection.call("Echo", [1])]) {
        const error = await assert.rejects(within("the refusal", call), /Cannot send data if the connection is not in the 'Connected' State/);
        assert.ok(error instanceof HubError);
      }
    };
    await refused();
    await connection.start();
    await connection.stop();
    await refused();
    await connection.start();
    await connection.dispose();
    await assert.rejects(connection.invoke("Echo", 1), /disposed/);
    for (const command of [() => connection.start(), () => connection.metrics(), () => connection.positions()]) {
      const error = await assert.rejects(within("the refusal", command()), /disposed/);
      assert.equal(error.kind, "Misuse");
    }
    assert.throws(() => connection.acknowledge("x"), /disposed/);
    connection.hint("online");
    await connection.stop();
    await connection.dispose();
    assert.equal(connection.state, "Disconnected");
  });

  test("a second start is refused, the first goes on", async ({ defer }) => {
    const connection = build(defer);
    const [first, ...others] = [connection.start(), connection.start(), connection.start()];
    for (const other of others) {
      await assert.rejects(within("the refusal", other), /Cannot start a HubConnection that is not in the 'Disconnected' state/);
    }
    await first;
    await assert.rejects(connection.start(), /Cannot start/);
    await answers(connection);
  });

  test("stops while starting, many at once, and starts behind them", async ({ defer }) => {
    const connection = build(defer);
    for (let i = 0; i < 50; i++) {
      const started = connection.start();
      const stops = [connection.stop(), connection.stop()];
      // What a start came to that was stopped depends on how far it was.
      await started.catch((error) => assert.equal(error.kind, "Cancelled"));
      await within("the stops", Promise.all(stops));
      assert.equal(connection.state, "Disconnected");
    }
    await connection.start();
    await answers(connection);
  });

  test("a start in onclose, ten times", async ({ defer }) => {
    const connection = build(defer);
    const open = new Events();
    let left = 10;
    connection.onclose(() => {
      if (left-- > 0) connection.start().then(open.push, open.push);
    });
    await connection.start();
    for (let i = 0; i < 10; i++) {
      connection.send("CloseMe", false, "again").catch(() => {});
      assert.equal(await open.next("the next start"), undefined);
    }
    await answers(connection);
  });

  test("a stop in every callback", async ({ defer }) => {
    const connection = build(defer, (builder) => builder.withAutomaticReconnect([0, 10]), harness.proxy.url);
    const ended = new Events();
    connection.onreconnecting(() => void connection.stop());
    connection.onStateChanged(({ to }) => to === "Reconnecting" && void connection.stop());
    connection.onclose(() => (void connection.stop(), ended.push("closed")));
    await connection.start();
    const hanging = connection.invoke("Sum", new hubwire.Subject()).catch((error) => error);
    await connection.invoke("Echo", 1);
    await harness.proxy.cut();
    await ended.next("the end");
    assert.ok((await within("the end of the call", hanging)) instanceof HubError);
    assert.equal(connection.state, "Disconnected");
  });

  test("a connection that is let go of without a stop is collected, and closed at the server", async ({ defer }) => {
    const witness = await connect(defer);
    let id;
    let ref;
    await (async () => {
      const connection = new HubConnectionBuilder().withUrl(harness.server.url).configureLogging(LogLevel.None).build();
      await connection.start();
      id = connection.connectionId;
      ref = new WeakRef(connection);
      await connection.stop();
    })();
    const collected = async () => {
      // What was looked at is kept until the end of the turn.
      do {
        await turn();
        globalThis.gc();
        await turn();
      } while (ref.deref());
    };
    await within("garbage collection", collected());
    assert.equal((await witness.invoke("Disconnected", id)).seen, true);
  });
});

describe("retry policies", () => {
  for (const [what, next] of Object.entries({
    "that throws": () => { throw new Error("of a policy"); },
    "that throws what has no text": () => { throw Object.create(null); },
    "that gives a text": () => "soon",
    "that gives a promise": async () => 10,
    "that gives NaN": () => NaN,
    "that gives Infinity": () => Infinity,
    "that gives a bigint": () => 10n,
    "that gives a symbol": () => Symbol("s"),
    "that gives undefined": () => undefined,
    "that gives null": () => null,
  })) {
    test(`one ${what} gives up: the connection is closed, and can be started again`, async ({ defer }) => {
      const policy = { nextRetryDelayInMilliseconds: next };
      const connection = await connect(defer, (builder) => builder.withAutomaticReconnect(policy), harness.proxy.url);
      const closed = new Events();
      connection.onclose((error) => closed.push(error));
      await harness.proxy.cut();
      assert.ok((await closed.next("the end")) instanceof HubError);
      await connection.start();
      await answers(connection);
    });
  }

  test("one that gives a number below zero tries again at once", async ({ defer }) => {
    const policy = { nextRetryDelayInMilliseconds: () => -5 };
    const connection = await connect(defer, (builder) => builder.withAutomaticReconnect(policy), harness.proxy.url);
    const back = new Events();
    connection.onreconnected(back.push);
    await harness.proxy.cut();
    await back.next("the new connection");
    await answers(connection);
  });
});

describe("rejections", () => {
  test("nobody handles nothing: a process that does everything wrong and looks at no promise but those it is given", async () => {
    const end = await run(async ({ HubConnectionBuilder, HubManager, LogLevel, Subject }, { url, proxyUrl }) => {
      const build = (to = url) => new HubConnectionBuilder().withUrl(to).configureLogging(LogLevel.None).build();
      // What is returned to the application is the application's: those are handled.
      const seen = [];
      const handled = (promise) => void promise.catch(({ kind, name }) => seen.push(kind ?? name));
      const cyclic = {};
      cyclic.self = cyclic;
      const connection = build();
      handled(connection.invoke("Echo", 1));
      handled(connection.call("Echo", [1]));
      handled(connection.start());
      handled(connection.start());
      await connection.stop();
      await connection.start();
      handled(connection.invoke("Echo", cyclic));
      handled(connection.invoke("Echo", 1n));
      handled(connection.invoke("NoSuchMethod"));
      handled(connection.call("Sum", [new Subject()], { timeout: 20 }));
      const controller = new AbortController();
      handled(connection.call("Sum", [new Subject()], { signal: controller.signal }));
      controller.abort(new Error("enough"));
      // Streams that nobody reads, and that fail.
      connection.stream("NoSuchMethod");
      connection.stream("CountThenFail", 1, "no");
      void connection.stream("Forever", "unread", 1)[Symbol.asyncIterator]();
      connection.on("event", async () => { throw new Error("of a handler"); });
      await connection.invoke("ToCaller", "event", 1);
      const subject = new Subject();
      handled(connection.invoke("Sum", subject));
      subject.next(cyclic);
      handled(connection.invoke("Label", "x", (async function* () { throw new Error("of a generator"); })()));
      await connection.invoke("Echo", 1);
      const lost = build("http://127.0.0.1:9/hub");
      handled(lost.start());
      const disposed = build();
      handled(disposed.start());
      handled(disposed.metrics());
      await disposed.dispose();
      handled(disposed.invoke("Echo", 1));
      handled(connection.invoke("Sum", new Subject()));
      await connection.stop();
      // The stop is nobody's failure, whoever looks at it.
      void build().stop();
      await new Promise(setImmediate);
      console.log(`${seen.length > 10} ${seen.every((kind) => typeof kind === "string")}`);
    }, { url: harness.server.url, proxyUrl: harness.proxy.url }, "--unhandled-rejections=strict");
    assert.deepEqual(end, { code: 0, signal: null, lines: ["true true"], errors: "" });
  });
});
