// What happens when the network, the server or the page goes away: nothing is lost, and nothing hangs.
import * as hubwire from "/test/page/hubwire.js";
import { assert, describe, Events, harness, test, within } from "/test/page/harness.js";

/** Comes back at once. */
const QUICK = hubwire.RetryPolicies.table(Array(50).fill(50));

/** The next attempt by itself would come after a minute. */
const SLOW = hubwire.RetryPolicies.table([60_000, 60_000]);

function build(defer, configure = (builder) => builder, options = {}, schedule = QUICK) {
  const builder = new hubwire.HubConnectionBuilder()
    .withUrl(harness.proxy.url, options)
    .withAutomaticReconnect(schedule, { firstStart: true })
    .configureLogging(hubwire.LogLevel.None);
  const connection = configure(builder).build();
  defer(() => connection.stop());
  return connection;
}

const count = (n) => Array.from({ length: n }, (_, i) => i);

/** Fulfilled at the next change to that state. */
function changed(connection, state) {
  return new Promise((resolve) => {
    const end = connection.onStateChanged(({ to }) => {
      if (to === state) {
        end();
        resolve();
      }
    });
  });
}

describe("a connection that is cut", () => {
  for (const transport of ["WebSockets", "ServerSentEvents", "LongPolling"]) {
    test(`comes back over ${transport}, with its handlers`, async ({ defer }) => {
      const connection = build(defer, undefined, { transport: hubwire.HttpTransportType[transport] });
      const got = new Events();
      connection.on("event", got.push);
      await connection.start();
      const before = connection.connectionId;
      const [lost, back] = [changed(connection, "Reconnecting"), changed(connection, "Connected")];
      // A browser makes a poll again by itself that was cut, and the server goes on with it.
      await harness.proxy[transport === "LongPolling" ? "block" : "cut"]();
      await within("the loss", lost);
      await harness.proxy.unblock();
      await within("the new connection", back);
      assert.ok(connection.connectionId && connection.connectionId !== before);
      await connection.send("ToCaller", "event", 7);
      assert.equal(await got.next("the value"), 7);
    });
  }

  test("does not leave a stream of events to the browser, which would open it again", async ({ defer }) => {
    const sources = [];
    const options = {
      transport: hubwire.HttpTransportType.ServerSentEvents,
      EventSource: class extends EventSource {
        constructor(...args) {
          super(...args);
          sources.push(this);
        }
      },
    };
    const connection = build(defer, undefined, options);
    await connection.start();
    const back = changed(connection, "Connected");
    await harness.proxy.cut();
    await within("the new connection", back);
    assert.deepEqual(sources.map(({ readyState }) => readyState), [EventSource.CLOSED, EventSource.OPEN]);
  });

  test("sends what was called meanwhile, once and in order", async ({ defer }) => {
    const connection = build(defer, (builder) => builder.withOutbox({ maxItems: 1000 }));
    await connection.start();
    const lost = changed(connection, "Reconnecting");
    await harness.proxy.block();
    await within("the loss", lost);
    const sent = count(200).map((i) => connection.invoke("Note", "outbox", i));
    assert.equal(connection.outbox.depth, 200);
    await harness.proxy.unblock();
    await within("all calls", Promise.all(sent));
    assert.deepEqual(await connection.invoke("Noted", "outbox"), count(200));
    assert.equal(connection.outbox.depth, 0);
  });

  test("ends calls in flight with a text when nothing is queued", async ({ defer }) => {
    const connection = build(defer, (builder) => builder.withHubwireExtensions(false));
    await connection.start();
    // The upload never ends, and so the call; what is called after it is answered after it has come.
    const call = connection.invoke("Sum", new hubwire.Subject());
    call.catch(() => {});
    await connection.invoke("Echo", 1);
    await harness.proxy.cut();
    await assert.rejects(within("the end of the call", call), /^WebSocket closed with status code: 1006 \(no reason given\)\.$/);
  });

  test("stops when it is told to, between two attempts", async ({ defer }) => {
    const connection = build(defer);
    await connection.start();
    const lost = changed(connection, "Reconnecting");
    await harness.proxy.block();
    await within("the loss", lost);
    await within("the stop", connection.stop());
    assert.equal(connection.state, "Disconnected");
  });
});

describe("a server that goes away", () => {
  test("is waited for, also at the first start", async ({ defer }) => {
    await harness.server.kill();
    const connection = build(defer, (builder) => builder.withOutbox({}));
    const started = connection.start();
    const answer = connection.invoke("Echo", "early");
    await harness.server.restart();
    await within("the start", started);
    assert.equal(await within("the answer", answer), "early");
  });

  test("can be restarted while calls are made", async ({ defer }) => {
    const connection = build(defer, (builder) => builder.withResilience());
    await connection.start();
    const lost = changed(connection, "Reconnecting");
    await harness.server.kill();
    await within("the loss", lost);
    const calls = count(20).map((i) => connection.invoke("Echo", i));
    await harness.server.restart();
    assert.deepEqual(await within("the answers", Promise.all(calls)), count(20));
  });
});

describe("the page", () => {
  test("is told offline, and back online connects at once", async ({ defer }) => {
    const connection = build(defer, undefined, {}, SLOW);
    await connection.start();
    const lost = changed(connection, "Reconnecting");
    await harness.offline(true);
    await harness.proxy.cut();
    await within("the loss", lost);
    const back = changed(connection, "Connected");
    await harness.offline(false);
    await within("the new connection", back, 5_000);
  });

  test("was frozen while the connection was cut", async ({ defer }) => {
    const connection = build(defer, (builder) => builder.withOutbox({}), {}, SLOW);
    await connection.start();
    const back = changed(connection, "Connected");
    await harness.freeze(["proxy.cut"]);
    await within("the new connection", back, 5_000);
    assert.equal(await connection.invoke("Echo", 1), 1);
  });
});

describe("handlers", () => {
  test("may call the connection again, at any depth", async ({ defer }) => {
    const connection = build(defer);
    const done = new Events();
    connection.on("down", async (n) => {
      if (n === 0) return done.push("end");
      await connection.send("ToCaller", "down", n - 1);
    });
    connection.onreconnected(() => connection.send("ToCaller", "down", 3));
    await connection.start();
    await connection.send("ToCaller", "down", 20);
    await done.next("the bottom");
    await harness.proxy.cut();
    await done.next("the bottom, after a new connection");
  });

  test("may stop the connection between two messages of a frame", async ({ defer }) => {
    const connection = build(defer);
    const got = [];
    let stopped;
    connection.on("event", (n) => {
      got.push(n);
      if (n === 2) stopped = connection.stop();
    });
    await connection.start();
    await connection.send("PushMany", "event", 1000);
    await within("the end", changed(connection, "Disconnected"));
    await stopped;
    assert.deepEqual(got, [0, 1, 2]);
  });
});

describe("calls", () => {
  test("are taken back by a signal and by a timeout", async ({ defer }) => {
    const connection = build(defer, (builder) => builder.withOutbox({}));
    await connection.start();
    const controller = new AbortController();
    // The upload never ends, and so the call.
    const waiting = connection.call("Sum", [new hubwire.Subject()], { signal: controller.signal });
    await waiting.accepted;
    controller.abort();
    const error = await assert.rejects(within("the end", waiting), /./);
    assert.deepEqual([error.name, error.kind], ["AbortError", "Cancelled"]);
    const lost = changed(connection, "Reconnecting");
    await harness.proxy.block();
    await within("the loss", lost);
    const late = connection.call("Echo", [1], { timeout: 50 });
    await assert.rejects(within("the end", late), /could not be sent in time/);
    const superseded = connection.call("Echo", [1], { supersedeKey: "k" });
    const newest = connection.call("Echo", [2], { supersedeKey: "k" });
    await assert.rejects(superseded, /[Ss]uperseded/);
    await harness.proxy.unblock();
    assert.equal(await newest, 2);
  });
});
