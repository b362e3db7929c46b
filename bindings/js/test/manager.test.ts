import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { BaseHubManager, type HubManagerOptions } from "../src/manager.js";
import { taskHub } from "../src/hubs/index.js";
import { FakeBackend, HubConnectionBuilder, Log, NETWORK, settle, type FakeConnection } from "./fake-backend.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

/** A manager, and the fake behind each of its hubs; `auto` lets starts and stops succeed at once. */
const make = ({ auto = true, ...options }: HubManagerOptions & { auto?: boolean } = {}) => {
  const backend = new FakeBackend();
  const log = new Log();
  const http = { logger: log };
  const manager = new BaseHubManager(() => new HubConnectionBuilder(backend), "http://host/", { http, ...options });
  const connect = backend.connect.bind(backend);
  backend.connect = (config, events) => {
    const fake = connect(config, events);
    if (auto) {
      const [start, stop] = [fake.start.bind(fake), fake.stop.bind(fake)];
      fake.start = () => (queueMicrotask(() => fake.connected(config.url)), start());
      fake.stop = () => (queueMicrotask(() => fake.closed()), stop());
    }
    return fake;
  };
  const fakeOf = (path: string): FakeConnection =>
    backend.connections.find(({ config }) => config.url === `http://host${path}`) ?? assert.fail(path);
  const open = () => [...manager.states()].filter(([, state]) => state === "Connected").map(([path]) => path);
  return { manager, fakeOf, open, log, backend };
};

/** The same, with a connection to `/a` that nobody holds. */
async function withIdle(options: Parameters<typeof make>[0]): Promise<ReturnType<typeof make>> {
  const made = make(options);
  const first = made.manager.connect("/a");
  await settle();
  made.fakeOf("/a").connected();
  await first;
  made.manager.release("/a");
  return made;
}

test("the same path gives the same connection, configured once", () => {
  const paths: string[] = [];
  const accessTokenFactory = () => "token";
  const { manager, fakeOf, backend } = make({
    http: { accessTokenFactory, logger: new Log() },
    configure: (builder, path) => {
      paths.push(path);
      builder.withResilience();
    },
  });
  const chat = manager.hub("/hubs/chat");
  assert.equal(manager.hub("hubs/chat"), chat);
  assert.notEqual(manager.hub(taskHub), chat);
  assert.deepEqual(paths, ["/hubs/chat", "/hubs/tasks"]);
  assert.equal(backend.connections.length, 2);
  assert.equal(fakeOf("/hubs/chat").config.hasTokenFactory, true);
  assert.equal(fakeOf("/hubs/chat").config.retryFirstStart, true);
  assert.deepEqual(fakeOf("/hubs/tasks").config.joins, taskHub.joins);
  assert.equal(fakeOf("/hubs/tasks").config.pingMethod, "Ping");
  assert.deepEqual(
    [...manager.states()],
    [
      ["/hubs/chat", "Disconnected"],
      ["/hubs/tasks", "Disconnected"],
    ],
  );
});

test("options are checked", () => {
  for (const option of ["maxConnections", "idleAfter", "connectTimeout"] as const) {
    assert.throws(() => make({ [option]: 0 }), { kind: "Misuse", message: `${option} must be at least 1` });
  }
});

test("connect starts once for all who wait, and is fulfilled at once when connected", async () => {
  const { manager, fakeOf } = make({ auto: false });
  const [first, second] = [manager.connect("/a"), manager.connect("/a")];
  await settle();
  assert.equal(fakeOf("/a").of("start").length, 1);
  fakeOf("/a").connected();
  assert.equal(await first, await second);
  await manager.connect("/a");
  assert.equal(fakeOf("/a").of("start").length, 1);
});

test("a start that fails rejects all who wait, with the path, and can be tried again", async () => {
  const { manager, fakeOf, open } = make({ auto: false });
  const [first, second] = [manager.connect("/a"), manager.connect("/a")];
  await settle();
  fakeOf("/a").closed(NETWORK);
  const expected = { kind: "Network", message: `/a: ${NETWORK.text}` };
  await assert.rejects(first, expected);
  await assert.rejects(second, expected);
  const again = manager.connect("/a");
  await settle();
  fakeOf("/a").connected();
  await again;
  assert.deepEqual(open(), ["/a"]);
});

test("who waits too long hears that it is late, and the connection is still made", async () => {
  const { manager, fakeOf, open } = make({ auto: false });
  const late = manager.connect("/a");
  await settle();
  mock.timers.tick(29_999);
  const later = manager.connect("/a");
  mock.timers.tick(1);
  await assert.rejects(late, {
    name: "TimeoutError",
    message: "/a: There was no connection within 30000 ms; it is still being made.",
  });
  fakeOf("/a").connected();
  await later;
  assert.deepEqual(open(), ["/a"]);
});

test("connect waits for a connection that is being made again, or hears that it has ended", async () => {
  const { manager, fakeOf } = make();
  await manager.connect("/a");
  fakeOf("/a").lost();
  const again = manager.connect("/a");
  fakeOf("/a").connected();
  await again;
  fakeOf("/a").lost();
  const never = manager.connect("/a");
  fakeOf("/a").closed(NETWORK);
  await assert.rejects(never, { message: `/a: ${NETWORK.text}` });
  fakeOf("/a").connecting();
  const stopped = manager.connect("/a");
  fakeOf("/a").closed();
  await assert.rejects(stopped, { message: "/a: The connection has ended." });
});

test("connectAll says what became of each", async () => {
  const { manager, fakeOf } = make({ auto: false });
  const results = manager.connectAll(["/a", taskHub]);
  await settle();
  fakeOf("/a").connected();
  fakeOf("/hubs/tasks").closed(NETWORK);
  const [first, second] = await results;
  assert.deepEqual([first?.path, first?.connection?.state, first?.error], ["/a", "Connected", undefined]);
  assert.deepEqual([second?.path, second?.connection, second?.error?.kind], ["/hubs/tasks", undefined, "Network"]);
});

test("disconnect ends a hub that is in use, and those who wait for it", async () => {
  const { manager, fakeOf, open } = make({ auto: false });
  const waiting = manager.connect("/a");
  await settle();
  const disconnected = manager.disconnect("/a");
  await assert.rejects(waiting, { name: "AbortError", message: "/a: The hub was disconnected." });
  fakeOf("/a").closed();
  await disconnected;
  await manager.disconnect("/unknown");
  assert.deepEqual(open(), []);
  // It is not started by being used.
  manager.hub("/a");
  await settle();
  assert.equal(fakeOf("/a").of("start").length, 1);
});

test("disconnectAll ends them all, and connect begins again behind a stop that is under way", async () => {
  const { manager, open, fakeOf } = make();
  await manager.connectAll(["/a", "/b"]);
  const disconnected = manager.disconnectAll();
  const again = manager.connect("/a");
  await disconnected;
  await again;
  assert.deepEqual(open(), ["/a"]);
  assert.deepEqual(fakeOf("/a").of("start").length, 2);
});

test("states of all hubs are told, also by those that throw to others", async () => {
  const { manager, log } = make();
  const told: string[] = [];
  manager.onStateChanged(() => {
    throw new Error("watcher");
  });
  const off = manager.onStateChanged((path, { to }) => told.push(`${path} ${to}`));
  await manager.connectAll(["/a", "/b"]);
  off();
  await manager.disconnectAll();
  assert.deepEqual(told, ["/a Connecting", "/b Connecting", "/a Connected", "/b Connected"]);
  assert.match(log.lines[0] ?? "", /threw error 'Error: watcher'/);
});

test("a hub that everybody gave back is closed after five minutes, and started again by its next use", async () => {
  const { manager, open, fakeOf } = make();
  const connection = await manager.connect("/a");
  manager.hub("/a");
  manager.release("/a");
  mock.timers.tick(3_000_000);
  await settle();
  assert.deepEqual(open(), ["/a"], "it is held");
  manager.release("/a");
  manager.release("/a");
  mock.timers.tick(299_999);
  await settle();
  assert.deepEqual(open(), ["/a"]);
  mock.timers.tick(1);
  await settle();
  assert.deepEqual(open(), []);
  assert.equal(manager.hub("/a"), connection);
  await settle();
  assert.deepEqual(open(), ["/a"]);
  assert.equal(fakeOf("/a").of("start").length, 2);
});

test("handlers, calls and a filled outbox keep a hub from being idle", async () => {
  const { manager, open, fakeOf } = make();
  const connection = await manager.connect("/a");
  manager.release("/a");
  const waitLong = async () => {
    mock.timers.tick(300_000);
    mock.timers.tick(300_000);
    await settle();
    return open();
  };
  const handler = () => {};
  connection.on("x", handler);
  assert.deepEqual(await waitLong(), ["/a"]);
  connection.off("x", handler);
  void connection.invoke("Long");
  assert.deepEqual(await waitLong(), ["/a"]);
  fakeOf("/a").complete(1);
  fakeOf("/a").events.event({ type: "outboxChanged", outbox: { depth: 1, bytes: 1, oldestAge: 0 } });
  assert.deepEqual(await waitLong(), ["/a"]);
  fakeOf("/a").events.event({ type: "outboxChanged", outbox: { depth: 0, bytes: 0, oldestAge: null } });
  assert.deepEqual(await waitLong(), []);
});

test("idleAfter: null never closes a hub", async () => {
  const { manager, open } = make({ idleAfter: null });
  await manager.connect("/a");
  manager.release("/a");
  mock.timers.tick(10_000_000);
  await settle();
  assert.deepEqual(open(), ["/a"]);
});

test("one more than there may be takes the place of the one that is idle for longest, or is refused", async () => {
  const { manager, open } = make({ maxConnections: 2 });
  await manager.connectAll(["/a", "/b"]);
  const refused = { kind: "Overflow", message: /^\/c: There are as many connections as maxConnections allows, 2, and/ };
  await assert.rejects(manager.connect("/c"), refused);
  manager.release("/b");
  manager.release("/a");
  await manager.connect("/c");
  assert.deepEqual(open(), ["/a", "/c"], "b was idle for longer");
  await manager.connect("/b");
  assert.deepEqual(open(), ["/b", "/c"]);
  // What was closed for the limit is started by use, if there is a place.
  assert.throws(() => manager.hub("/a"), { kind: "Overflow" });
  manager.release("/c");
  manager.hub("/a");
  await settle();
  assert.deepEqual(open(), ["/a", "/b"]);
});

test("never more connections than there may be, also while one is closing", async () => {
  const { manager, fakeOf, backend } = await withIdle({ maxConnections: 1, auto: false });
  const second = manager.connect("/b");
  await settle();
  assert.deepEqual(fakeOf("/a").of("stop").length, 1);
  assert.deepEqual(fakeOf("/b").of("start").length, 0);
  fakeOf("/a").closed();
  await settle();
  assert.deepEqual(fakeOf("/b").of("start").length, 1);
  fakeOf("/b").connected();
  await second;
  assert.equal(backend.connections.length, 2);
});

test("one that waits for its place may be disconnected", async () => {
  const { manager, fakeOf } = await withIdle({ maxConnections: 1, auto: false });
  const second = manager.connect("/b");
  await settle();
  void manager.disconnect("/b");
  fakeOf("/b").stopped();
  await assert.rejects(second, { name: "AbortError" });
  fakeOf("/a").closed();
  await settle();
  assert.equal(fakeOf("/b").of("start").length, 0);
});

test("a connection that the application starts on its own counts", async () => {
  const { manager, open } = make({ maxConnections: 1 });
  await manager.hub("/a").start();
  assert.deepEqual(open(), ["/a"]);
  await assert.rejects(manager.connect("/b"), { kind: "Overflow" });
  await manager.hub("/a").stop();
  await manager.connect("/b");
  assert.deepEqual(open(), ["/b"]);
});

test("one that the application starts on its own while it waits for its place, and that fails, is told", async () => {
  const { manager, fakeOf } = await withIdle({ maxConnections: 1, auto: false });
  const second = manager.connect("/b");
  const own = manager.hub("/b").start();
  fakeOf("/a").closed();
  await settle();
  fakeOf("/b").closed(NETWORK);
  await assert.rejects(own, { message: NETWORK.text });
  await assert.rejects(second, { message: `/b: ${NETWORK.text}` });
  assert.equal(fakeOf("/b").of("start").length, 1);
});

test("a place is free again after a start that failed, whoever made it", async () => {
  const { manager, fakeOf } = make({ maxConnections: 1, auto: false });
  const failed = manager.connect("/a");
  await settle();
  fakeOf("/a").closed(NETWORK);
  await assert.rejects(failed);
  const own = manager.hub("/a").start();
  fakeOf("/a").closed(NETWORK);
  await assert.rejects(own);
  const other = manager.connect("/b");
  await settle();
  fakeOf("/b").connected();
  await other;
});
