import assert from "node:assert/strict";
import { test } from "node:test";
import { AbortError, HubConnectionState, HubError, TimeoutError, type StateChange } from "../src/index.js";
import { CANCELLED, NETWORK, make, makeConnected, settle } from "./fake-backend.js";

const states = (changes: readonly StateChange[]) => changes.map(({ from, to }) => `${from}>${to}`);

test("start goes through Connecting, at once, and is fulfilled when connected", async () => {
  const { connection, fake } = make();
  const changes: StateChange[] = [];
  connection.onStateChanged((change) => changes.push(change));
  assert.equal(connection.state, HubConnectionState.Disconnected);
  assert.equal(connection.connectionId, null);
  const start = connection.start();
  assert.equal(connection.state, HubConnectionState.Connecting);
  fake.connecting();
  fake.connected("abc");
  await start;
  assert.equal(connection.state, HubConnectionState.Connected);
  assert.equal(connection.connectionId, "abc");
  assert.deepEqual(states(changes), ["Disconnected>Connecting", "Connecting>Connected"]);
  assert.deepEqual(changes[1]?.cause, { type: "established", connectionId: "abc", previousConnectionId: null });
});

test("a start that fails is rejected with the error and without onclose", async () => {
  const { connection, fake } = make();
  let closed = 0;
  connection.onclose(() => closed++);
  const start = connection.start();
  fake.closed(NETWORK);
  await assert.rejects(start, { name: "HubError", kind: "Network", message: NETWORK.text });
  assert.equal(connection.state, HubConnectionState.Disconnected);
  assert.equal(closed, 0);
});

test("onclose comes once for each time that there was a connection", async () => {
  const { connection, fake } = await makeConnected();
  let closed = 0;
  connection.onclose(() => closed++);
  fake.closed(NETWORK);
  const start = connection.start();
  fake.closed(NETWORK);
  await assert.rejects(start);
  assert.equal(closed, 1);
});

test("a platform that cannot even start leaves the connection disconnected", async () => {
  const { connection, fake } = make();
  const start = connection.start();
  const error = new TypeError("no such file");
  fake.refuseStart(error);
  await assert.rejects(start, error);
  assert.equal(connection.state, HubConnectionState.Disconnected);
});

test("a second start is refused by the core and changes nothing", async () => {
  const { connection, fake } = await makeConnected();
  const start = connection.start();
  fake.refuseStart(new HubError("Misuse", "Cannot start a HubConnection that is not in the 'Disconnected' state."));
  await assert.rejects(start, /^HubError: Cannot start a HubConnection that is not in the 'Disconnected' state\.$/);
  assert.equal(connection.state, HubConnectionState.Connected);
});

test("stop goes through Disconnecting, at once, and onclose has no error", async () => {
  const { connection, fake } = await makeConnected();
  const closed: unknown[][] = [];
  connection.onclose(function (this: unknown, ...args) {
    closed.push([this, ...args]);
  });
  const stop = connection.stop();
  assert.equal(connection.state, HubConnectionState.Disconnecting);
  assert.equal(connection.connectionId, "id-1");
  fake.closed();
  await stop;
  assert.equal(connection.state, HubConnectionState.Disconnected);
  assert.equal(connection.connectionId, null);
  assert.deepEqual(closed, [[connection, undefined]]);
});

test("while it stops, nothing else is told", async () => {
  const { connection, fake } = await makeConnected();
  const changes: StateChange[] = [];
  connection.onStateChanged((change) => changes.push(change));
  let reconnecting = 0;
  connection.onreconnecting(() => reconnecting++);
  const stop = connection.stop();
  fake.lost();
  fake.closed();
  await stop;
  assert.deepEqual(states(changes), ["Connected>Disconnecting", "Disconnecting>Disconnected"]);
  assert.equal(reconnecting, 0);
});

test("stop is fulfilled after a start that it interrupts, and ends Disconnected without an event, too", async () => {
  const { connection, fake } = make();
  const order: string[] = [];
  const start = connection.start().catch((error: unknown) => order.push(`start: ${error instanceof AbortError}`));
  const stop = connection.stop().then(() => order.push("stop"));
  fake.stopped();
  await settle();
  assert.equal(connection.state, HubConnectionState.Disconnected);
  assert.deepEqual(order, []);
  fake.refuseStart(new AbortError());
  await Promise.all([start, stop]);
  assert.deepEqual(order, ["start: true", "stop"]);
});

test("stop of a disconnected connection does nothing", async () => {
  const { connection, fake } = make();
  const stop = connection.stop();
  assert.equal(connection.state, HubConnectionState.Disconnected);
  fake.stopped();
  await stop;
});

test("reconnecting and reconnected are told with error and new id", async () => {
  const { connection, fake } = await makeConnected();
  const told: unknown[] = [];
  connection.onreconnecting((error) =>
    told.push(["reconnecting", error?.message, connection.state, connection.connectionId]),
  );
  connection.onreconnected((id) => told.push(["reconnected", id, connection.state]));
  connection.onclose(() => told.push("closed"));
  fake.lost();
  fake.connected("id-2", "id-1");
  assert.deepEqual(told, [
    ["reconnecting", NETWORK.text, "Reconnecting", null],
    ["reconnected", "id-2", "Connected"],
  ]);
});

test("without negotiation there is no id", async () => {
  const { connection, fake } = await makeConnected();
  const ids: unknown[] = [];
  connection.onreconnected((...args) => ids.push(args));
  fake.lost();
  fake.connected(null);
  assert.equal(connection.connectionId, null);
  assert.deepEqual(ids, [[undefined]]);
});

test("a lost connection that is not made again is closed with the error", async () => {
  const { connection, fake } = await makeConnected();
  const errors: unknown[] = [];
  connection.onclose((error) => errors.push(error));
  fake.closed({ kind: "Timeout", text: "Server timeout elapsed without receiving a message from the server." });
  assert.ok(errors[0] instanceof TimeoutError && errors[0] instanceof HubError);
  assert.equal(errors[0].message, "Server timeout elapsed without receiving a message from the server.");
});

test("one that gives up reconnecting is closed without an error, as in SignalR's client", async () => {
  const { connection, fake } = await makeConnected();
  const errors: unknown[] = [];
  connection.onclose((error) => errors.push(error));
  fake.lost();
  fake.closed(NETWORK);
  assert.deepEqual(errors, [undefined]);
});

test("a Close of the server that invites to come back is no error", async () => {
  const { connection, fake } = await makeConnected();
  const errors: unknown[] = [];
  connection.onreconnecting((error) => errors.push(error));
  fake.events.stateChanged("Reconnecting", { type: "serverClosed", allowReconnect: true });
  assert.deepEqual(errors, [undefined]);
});

test("a callback that throws is logged and keeps nobody from being told", async () => {
  const { connection, fake, log } = await makeConnected();
  let told = 0;
  connection.onclose(() => {
    throw new Error("first");
  });
  connection.onclose(() => told++);
  fake.closed(NETWORK);
  assert.equal(told, 1);
  assert.deepEqual(log.lines, [
    `4 An onclose callback called with 'HubError: ${NETWORK.text}' threw error 'Error: first'.`,
  ]);
});

test("changes caused by callbacks are told behind the change that is being told", async () => {
  const { connection, fake } = await makeConnected();
  const told: string[] = [];
  connection.onreconnecting(() => {
    told.push("reconnecting");
    void connection.stop();
    fake.closed();
  });
  connection.onclose(() => told.push("closed"));
  connection.onStateChanged(({ from, to }) => told.push(`${from}>${to}`));
  fake.lost();
  assert.deepEqual(told, [
    "reconnecting",
    "Connected>Reconnecting",
    "Reconnecting>Disconnecting",
    "closed",
    "Disconnecting>Disconnected",
  ]);
});

test("onclose may start again", async () => {
  const { connection, fake } = await makeConnected();
  connection.onclose(() => void connection.start());
  fake.closed(NETWORK);
  assert.equal(connection.state, HubConnectionState.Connecting);
  fake.connected("again");
  assert.equal(connection.connectionId, "again");
});

test("functions that are no functions are ignored", () => {
  const { connection } = make();
  connection.onclose(undefined as never);
  connection.on("", () => {});
  connection.on("x", undefined as never);
  connection.off("");
  connection.off("unknown");
});

test("baseUrl, timeouts and intervals reach the core", async () => {
  const { connection, fake } = make();
  assert.equal(connection.baseUrl, "http://host/hub");
  assert.equal(connection.serverTimeoutInMilliseconds, 30_000);
  assert.equal(connection.keepAliveIntervalInMilliseconds, 15_000);
  connection.baseUrl = "http://other/hub";
  connection.serverTimeoutInMilliseconds = 60_000;
  connection.keepAliveIntervalInMilliseconds = 5_000;
  assert.equal(connection.baseUrl, "http://other/hub");
  assert.deepEqual(fake.of("configure"), [
    [{ url: "http://other/hub" }],
    [{ serverTimeout: 60_000 }],
    [{ keepAliveInterval: 5_000 }],
  ]);
  assert.throws(() => (connection.baseUrl = ""), new Error("The HubConnection url must be a valid url."));
  void connection.start();
  fake.connected();
  assert.throws(
    () => (connection.baseUrl = "http://x/"),
    new Error("The HubConnection must be in the Disconnected or Reconnecting state to change the url."),
  );
  fake.lost();
  connection.baseUrl = "http://third/hub";
});

test("events are told with errors, and remembered where there is a getter", async () => {
  const { connection, fake } = make();
  const told: unknown[] = [];
  assert.deepEqual([connection.outbox.depth, connection.quality.grade], [0, "lost"]);
  const off = connection.onEvent("outboxChanged", ({ outbox }) => told.push(outbox.depth));
  connection.onEvent("gap", ({ source, error }) => told.push([source, error instanceof HubError, error.kind]));
  connection.onEvent("retryScheduled", ({ reason, delay }) => told.push([reason.message, delay]));
  connection.onEvent("tokenRefreshed", ({ error }) => told.push(error));
  const progress = { depth: 2, bytes: 10, oldestAge: 5 };
  fake.events.event({ type: "outboxChanged", outbox: progress });
  assert.equal(connection.outbox, progress);
  off();
  fake.events.event({ type: "outboxChanged", outbox: { depth: 3, bytes: 10, oldestAge: 5 } });
  assert.equal(connection.outbox.depth, 3);
  fake.events.event({ type: "qualityChanged", quality: { grade: "fair", rtt: 200, jitter: 3 } });
  assert.equal(connection.quality.grade, "fair");
  const source = { type: "stream", stream: "group:news" } as const;
  fake.events.event({ type: "gap", source, error: { kind: "Gap", text: "gone" } });
  fake.events.event({ type: "retryScheduled", previousRetryCount: 1, delay: 500, reason: NETWORK });
  fake.events.event({ type: "tokenRefreshed", error: null });
  assert.deepEqual(told, [2, [source, true, "Gap"], [NETWORK.text, 500], null]);
});

test("hints, acknowledgements and positions reach the core", async () => {
  const { connection, fake } = make();
  connection.hint("online");
  connection.acknowledge("m1");
  connection.nack("m2", "no");
  assert.deepEqual(fake.commands, [
    ["hint", "online"],
    ["acknowledge", "m1"],
    ["nack", "m2", "no"],
  ]);
  assert.deepEqual(await connection.positions(), ["epoch/3/group:news"]);
});

test("a broken core ends everything", async () => {
  const { connection, fake } = await makeConnected();
  const closed: unknown[] = [];
  connection.onclose((error) => closed.push(error?.message));
  const call = connection.invoke("Method");
  const stream = connection.stream("Stream");
  fake.events.broken({ kind: "Protocol", text: "The core has failed." });
  await assert.rejects(call, { message: "The core has failed." });
  await assert.rejects(stream[Symbol.asyncIterator]().next(), { message: "The core has failed." });
  assert.equal(connection.pendingCalls, 0);
  assert.equal(connection.state, "Disconnected");
  assert.deepEqual(closed, ["The core has failed."]);
});

test("restored calls can be watched and cancelled", async () => {
  const { connection, fake } = make((builder) => builder.withOutbox({ store: "calls" }));
  fake.events.restored([
    { call: -1, target: "Save" },
    { call: -2, target: "Save" },
  ]);
  // Before anybody asks.
  fake.complete(-1, "saved");
  const [first, second] = await connection.restoredCalls();
  assert.equal(first?.target, "Save");
  assert.equal(await first?.result, "saved");
  second?.cancel();
  assert.deepEqual(fake.of("cancel"), [[-2]]);
  fake.fail(-2, CANCELLED);
  await assert.rejects(second!.result, AbortError);
});

test("without a store nothing was restored", async () => {
  assert.deepEqual(await make().connection.restoredCalls(), []);
});

test("dispose stops first", async () => {
  const { connection, fake } = await makeConnected();
  const disposed = connection.dispose();
  fake.closed();
  await disposed;
  assert.deepEqual(fake.commands.slice(-2), [["stop"], ["dispose"]]);
});
