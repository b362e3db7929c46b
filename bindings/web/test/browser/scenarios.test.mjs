// What every package shows to work (tests/scenarios), as far as no other file here does. The names are those of the list.
import * as hubwire from "/test/page/hubwire.js";
import { ChatHubClient, TaskHubClient, chatHub, taskHub } from "/dist/hubs.js";
import { assert, describe, Events, harness, test, within } from "/test/page/harness.js";

const QUICK = hubwire.RetryPolicies.table(Array(50).fill(50));
const SLOW = hubwire.RetryPolicies.table([60_000, 60_000]);

const at = (path, base = harness.server.url) => new URL(path, base).href;

function build(defer, { url = harness.proxy.url, options = {}, schedule = QUICK, firstStart = true, configure } = {}) {
  const builder = new hubwire.HubConnectionBuilder()
    .withUrl(url, options)
    .withAutomaticReconnect(schedule, { firstStart })
    .configureLogging(hubwire.LogLevel.None);
  const connection = (configure?.(builder) ?? builder).build();
  defer(() => connection.stop());
  return connection;
}

async function started(defer, settings) {
  const connection = build(defer, settings);
  await within("the start", connection.start());
  return connection;
}

const messagePack = (builder) => builder.withHubProtocol(new hubwire.MessagePackHubProtocol());

const count = (n) => Array.from({ length: n }, (_, i) => i);

/** Fulfilled at the next change to that state. */
function changed(connection, state) {
  return new Promise((resolve) => {
    const end = connection.onStateChanged((change) => {
      if (change.to === state) {
        end();
        resolve(change);
      }
    });
  });
}

const delivery = (defer, configure) => started(defer, { url: at("/hubs/delivery"), configure });

describe("scenarios", () => {
  test("connect.ServerSentEvents.messagepack", async ({ defer }) => {
    const options = { transport: hubwire.HttpTransportType.ServerSentEvents };
    const connection = build(defer, { options, firstStart: false, configure: messagePack });
    await assert.rejects(within("the end", connection.start()), /transports/);
    assert.equal(connection.state, "Disconnected");
  });

  test("client-result", async ({ defer }) => {
    const connection = await started(defer);
    connection.on("twice", (value) => value * 2);
    connection.on("fails", () => Promise.reject(new Error("no idea")));
    assert.deepEqual(await connection.invoke("AskCaller", "twice", 21), { ok: true, value: 42 });
    const failed = await connection.invoke("AskCaller", "fails", 1);
    assert.ok(!failed.ok && failed.error.includes("no idea"), failed.error);
    assert.equal((await connection.invoke("AskCaller", "nobody", 1)).ok, false);
  });

  test("concurrent", async ({ defer }) => {
    const connection = await started(defer);
    assert.deepEqual(await Promise.all(count(1_000).map((i) => connection.invoke("Echo", i))), count(1_000));
  });

  test("stream.down", async ({ defer }) => {
    const connection = await started(defer);
    const items = [];
    const read = async () => {
      for await (const item of connection.stream("CountThenFail", 3, "no more")) items.push(item);
    };
    const error = await assert.rejects(within("the end", read()), /no more/);
    assert.equal(error.kind, "Refused");
    assert.deepEqual(items, [0, 1, 2]);
  });

  test("stream.up", async ({ defer }) => {
    const connection = await started(defer);
    const failing = new hubwire.Subject();
    const call = connection.invoke("Sum", failing);
    call.catch(() => {});
    failing.next(1);
    failing.error(new Error("broken"));
    await assert.rejects(within("the end", call), /broken/);
    const up = new hubwire.Subject();
    const doubled = connection.stream("Double", up)[Symbol.asyncIterator]();
    for (const item of [1, 2]) {
      up.next(item);
      assert.equal((await within("an item", doubled.next())).value, item * 2);
    }
    up.complete();
    assert.equal((await within("the end", doubled.next())).done, true);
  });

  test("cancel.call", async ({ defer }) => {
    const asker = await started(defer);
    const eventually = (what, look) => within(what, (async () => {
      while (!(await look()));
    })());
    for (const configure of [undefined, messagePack]) {
      const connection = await started(defer, { configure });
      const key = `cancel-${connection.connectionId}`;
      // The method runs, and hears of it.
      const held = new AbortController();
      const call = connection.call("Hold", [key], { signal: held.signal });
      await eventually("the method", () => asker.invoke("IsHeld", key));
      assert.equal(await asker.invoke("WasCancelled", key), false);
      held.abort();
      assert.equal((await assert.rejects(within("the end of the call", call), /./)).kind, "Cancelled");
      await eventually("the method's end", () => asker.invoke("WasCancelled", key));
      // An upload ends on the server, too.
      const drained = new AbortController();
      const items = new hubwire.Subject();
      const upload = connection.call("Drain", [key, items], { signal: drained.signal });
      await within("its acceptance", upload.accepted);
      items.next(1);
      items.next(2);
      await eventually("the items", async () => (await asker.invoke("Noted", `${key}-items`)).length === 2);
      drained.abort();
      assert.equal((await assert.rejects(within("the end of the call", upload), /./)).kind, "Cancelled");
      await eventually("the end of the upload on the server", () => asker.invoke("Drained", key));
      assert.equal(await asker.invoke("Drained", key), "Stream canceled by client.");
      assert.equal(await connection.invoke("Add", 1, 1), 2);
    }
  });

  test("cancel.stream", async ({ defer }) => {
    const connection = await started(defer);
    const key = `cancel-${connection.connectionId}`;
    for await (const item of connection.stream("Forever", key, 1)) if (item === 2) break;
    // The call after the cancel is behind it.
    await within("the server to know", (async () => {
      while (!(await connection.invoke("WasCancelled", key)));
    })());
  });

  test("cancel.before-start", async ({ defer }) => {
    const connection = build(defer, { configure: (builder) => builder.withOutbox({}) });
    const key = `before-${Math.random()}`;
    const controller = new AbortController();
    const call = connection.call("Note", [key, 1], { signal: controller.signal });
    controller.abort();
    assert.equal((await assert.rejects(call, /./)).kind, "Cancelled");
    const aborted = connection.call("Note", [key, 2], { signal: AbortSignal.abort() });
    assert.equal((await assert.rejects(aborted, /./)).kind, "Cancelled");
    const sent = connection.invoke("Note", key, 3);
    await within("the start", connection.start());
    await within("the call", sent);
    assert.deepEqual(await connection.invoke("Noted", key), [3]);
  });

  test("handler.throws", async ({ defer }) => {
    const connection = await started(defer);
    const got = new Events();
    connection.on("event", () => {
      throw new Error("as it should be");
    });
    connection.on("event", got.push);
    await connection.invoke("PushMany", "event", 3);
    assert.deepEqual(await got.count(3), [0, 1, 2]);
  });

  test("reconnect.unknown", async ({ defer }) => {
    // Towards a server that does not deduplicate: so it is for a client that did not announce itself.
    const configure = (builder) => builder.withOutbox({}).withHubwireExtensions(false);
    const connection = await started(defer, { configure });
    const key = `unknown-${connection.connectionId}`;
    const never = connection.invoke("Sum", new hubwire.Subject());
    never.catch(() => {});
    await connection.invoke("Echo", 1);
    const lost = changed(connection, "Reconnecting");
    // What is called now reaches the server; its answer does not come back.
    await harness.proxy.faults({ toClient: { hole: true } });
    const again = connection.call("Note", [key, 1], { idempotent: true });
    await harness.proxy.unblock();
    await harness.proxy.cut();
    await within("the loss", lost);
    assert.equal((await assert.rejects(within("the end", never), /./)).kind, "OutcomeUnknown");
    await within("the second time", again);
    const noted = await connection.invoke("Noted", key);
    assert.ok(noted.length >= 1 && noted.every((number) => number === 1), noted);
  });

  test("reconnect.half-open", async ({ defer }) => {
    const connection = await started(defer, {
      configure: (builder) => builder.withServerTimeout(2_500).withKeepAliveInterval(500),
    });
    const lost = changed(connection, "Reconnecting");
    await harness.proxy.halfOpen();
    await within("the loss", lost);
    const back = changed(connection, "Connected");
    await harness.proxy.unblock();
    await within("the new connection", back);
    assert.equal(await connection.invoke("Echo", 1), 1);
  });

  test("reconnect.gives-up", async ({ defer }) => {
    const connection = await started(defer, { schedule: hubwire.RetryPolicies.table([0, 10]) });
    const end = changed(connection, "Disconnected");
    await harness.proxy.block();
    const { cause } = await within("the end", end);
    assert.equal(cause.type, "failed");
    assert.equal(cause.error.kind, "Network");
  });

  test("retry.custom", async ({ defer }) => {
    const asked = [];
    const nextRetryDelayInMilliseconds = (context) => {
      asked.push(context);
      return asked.length < 3 ? 1 : null;
    };
    const connection = await started(defer, { schedule: { nextRetryDelayInMilliseconds }, firstStart: false });
    const end = changed(connection, "Disconnected");
    await harness.proxy.block();
    await within("the end", end);
    assert.deepEqual(
      asked.map(({ previousRetryCount }) => previousRetryCount),
      [0, 1, 2],
    );
    assert.ok(asked.every(({ retryReason, elapsedMilliseconds }) => retryReason.message && elapsedMilliseconds >= 0));
  });

  test("hints", async ({ defer }) => {
    const connection = await started(defer, { schedule: SLOW });
    connection.hint("offline");
    const lost = changed(connection, "Reconnecting");
    await harness.proxy.cut();
    await within("the loss", lost);
    const back = changed(connection, "Connected");
    connection.hint("online");
    await within("the new connection", back);
  });

  test("outbox.full", async ({ defer }) => {
    const connection = build(defer, { configure: (builder) => builder.withOutbox({ maxItems: 2 }) });
    const key = `full-${Math.random()}`;
    const first = connection.call("Note", [key, 1], { supersedeKey: "latest" });
    const second = connection.call("Note", [key, 2], { supersedeKey: "latest" });
    assert.equal((await assert.rejects(first, /./)).kind, "Cancelled");
    const third = connection.call("Note", [key, 3]);
    assert.equal((await assert.rejects(connection.call("Note", [key, 4]), /./)).kind, "Overflow");
    await within("the start", connection.start());
    await within("the calls", Promise.all([second, third]));
    assert.deepEqual(await connection.invoke("Noted", key), [2, 3]);
  });

  test("ack.auto", async ({ defer }) => {
    const connection = await delivery(defer);
    const running = new Events();
    connection.on("event", () => new Promise((resolve) => running.push(resolve)));
    const id = await connection.invoke("Deliver", "event", { text: "a" });
    const finish = await running.next("the handler");
    // The server would know before it answers the call behind the acknowledgement.
    await connection.invoke("Join", "somewhere");
    assert.equal((await connection.metrics()).acknowledged, 0, "not before the handler has ended");
    finish();
    assert.equal(await within("the outcome", connection.invoke("Outcome", id)), "acknowledged");
  });

  test("ack.nack", async ({ defer }) => {
    const connection = await delivery(defer);
    connection.on("event", () => {
      throw new Error("cannot do that");
    });
    const id = await connection.invoke("Deliver", "event", { text: "a" });
    assert.match(await within("the outcome", connection.invoke("Outcome", id)), /^failed: .*cannot do that/);
    const nobody = await connection.invoke("Deliver", "nobody", { text: "a" });
    assert.match(await within("the outcome", connection.invoke("Outcome", nobody)), /^failed: /);
  });

  test("ack.manual", async ({ defer }) => {
    const connection = await delivery(defer, (builder) => builder.withDelivery({ acks: "manual" }));
    const got = new Events();
    connection.on("event", got.push);
    const [taken, refused] = [
      await connection.invoke("Deliver", "event", { text: "a" }),
      await connection.invoke("Deliver", "event", { text: "b" }),
    ];
    await got.count(2);
    connection.acknowledge(taken);
    connection.nack(refused, "not mine");
    assert.equal(await within("the outcome", connection.invoke("Outcome", taken)), "acknowledged");
    assert.match(await within("the outcome", connection.invoke("Outcome", refused)), /^failed: .*not mine/);
  });

  test("batch", async ({ defer }) => {
    const connection = await delivery(defer);
    const group = `batch-${connection.connectionId}`;
    const got = new Events();
    connection.on("event", got.push);
    await connection.invoke("Join", group);
    const values = count(50).map((number) => ({ number }));
    await connection.invoke("Batch", group, "event", values);
    assert.deepEqual(await got.count(50), values);
  });

  test("delta", async ({ defer }) => {
    const connection = await delivery(defer);
    const group = `delta-${connection.connectionId}`;
    const [whole, changes] = [new Events(), new Events()];
    connection.on("state", whole.push);
    connection.on("stateDelta", changes.push);
    await connection.invoke("Join", group);
    for (const [percent, status] of [[1, "new"], [2, "new"], [2, "done"]]) {
      await connection.invoke("Change", group, "state", "t", { percent, status });
    }
    const seen = (await whole.count(3)).map(({ taskId, percent, status }) => ({ taskId, percent, status }));
    assert.deepEqual(seen, [
      { taskId: "t", percent: 1, status: "new" },
      { taskId: "t", percent: 2, status: "new" },
      { taskId: "t", percent: 2, status: "done" },
    ]);
    const [, second, third] = await changes.count(3);
    assert.deepEqual([second.percent, second.status, third.percent, third.status], [2, undefined, undefined, "done"]);
  });

  test("binary", async ({ defer }) => {
    const connection = await started(defer, { configure: messagePack });
    const value = { bytes: new Uint8Array([0, 1, 255]), moment: new Date(1_700_000_000_500) };
    assert.deepEqual(await connection.invoke("Echo", value), value);
  });

  test("quality", async ({ defer }) => {
    const connection = await started(defer, { configure: (builder) => builder.withQuality({ pingMethod: "ConnectionId" }) });
    for (let i = 0; i < 10; i++) await connection.invoke("Echo", i);
    const metrics = await connection.metrics();
    assert.equal(metrics.connections, 1);
    assert.ok(metrics.messagesSent >= 10 && metrics.messagesReceived >= 10, metrics);
    // A device that is back asks at once whether the server is still there.
    connection.hint("online");
    const measured = async () => {
      for (let quality; (quality?.rtt ?? null) === null; quality = (await connection.metrics()).quality) await connection.invoke("Echo", 1);
    };
    await within("the round trip", measured());
  });

  test("misuse", async ({ defer }) => {
    const connection = await started(defer);
    await assert.rejects(connection.start(), /Disconnected/);
    await connection.stop();
    await assert.rejects(connection.invoke("Echo", 1), /./);
    const error = assert.throws(() => new hubwire.HubManager("", { maxConnections: 0 }), /maxConnections/);
    assert.equal(error.kind, "Misuse");
  });

  test("manager", async ({ defer }) => {
    const manager = new hubwire.HubManager(new URL(harness.server.url).origin, {
      http: { accessTokenFactory: () => harness.token("ann") },
      maxConnections: 1,
      idleAfter: 50,
    });
    defer(() => manager.disconnectAll());
    const first = await within("the hub", manager.connect("/hubs/interop"));
    assert.equal(manager.hub("/hubs/interop"), first);
    const error = await assert.rejects(within("a second hub", manager.connect("/hubs/delivery")), /maxConnections/);
    assert.equal(error.kind, "Overflow");
    const closed = changed(first, "Disconnected");
    manager.release("/hubs/interop");
    manager.release("/hubs/interop");
    await within("the end of the idle one", closed);
    await within("a second hub", manager.connect("/hubs/delivery"));
  });

  test("hub.chat", async ({ defer }) => {
    const open = async (user) => {
      const options = { accessTokenFactory: () => harness.token(user) };
      const connection = await started(defer, { url: at(chatHub.path), options });
      return new ChatHubClient(connection);
    };
    const [ann, ben] = [await open("ann"), await open("ben")];
    const conversation = `c-${Math.random()}`;
    const [joined, said] = [new Events(), new Events()];
    ann.on("userJoined", joined.push);
    ben.on("messageReceived", said.push);
    await ann.joinConversation(conversation);
    await ben.joinConversation(conversation);
    const message = await ann.sendMessage(conversation, "hello");
    assert.equal(message.content, "hello");
    assert.deepEqual(await said.next("the message"), message);
    await joined.until((all) => all.some(({ userId }) => userId === "ben"), "the other");
  });

  test("hub.tasks", async ({ defer }) => {
    const options = { accessTokenFactory: () => harness.token("ann", { VirtualKeyId: "7" }) };
    const tasks = new TaskHubClient(await started(defer, { url: at(taskHub.path), options }));
    const driver = await delivery(defer);
    const id = `t-${Math.random()}`;
    const [progress, ended] = [new Events(), new Events()];
    tasks.on("taskProgress", progress.push);
    tasks.on("taskCompleted", ended.push);
    await driver.invoke("StartTask", id, "research");
    await tasks.subscribeToTask(id);
    await driver.invoke("Progress", id, 50);
    await progress.until((all) => all.some((one) => one.progressPercentage === 50), "half of it");
    await driver.invoke("CompleteTask", id, { answer: 42 });
    const { taskId, result } = await ended.next("the end");
    assert.deepEqual([taskId, result], [id, { answer: 42 }]);
  });
});
