// Many connections in one process, and many one after another.
import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@hubwire/node";
import { MessagePackHubProtocol } from "@hubwire/node/msgpack";
import { assert, collect, describe, harness, test, within } from "../lib/harness.mjs";

const CONNECTIONS = 2_000;
const OPENED = 10_000;
/** How many are opened at one time. */
const AT_ONCE = 100;

const count = (n) => Array.from({ length: n }, (_, i) => i);

function build(i, transport = "WebSockets") {
  const builder = new HubConnectionBuilder()
    .withUrl(harness.server.url, { transport: HttpTransportType[transport] })
    .configureLogging(LogLevel.None);
  return (i % 2 ? builder.withHubProtocol(new MessagePackHubProtocol()) : builder).build();
}

/** `action` for each number, some at a time. */
async function each(numbers, action) {
  const waiting = [...numbers];
  const work = async () => {
    for (let n; (n = waiting.shift()) !== undefined; ) await action(n);
  };
  await Promise.all(count(AT_ONCE).map(work));
}

const kibibytes = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
const say = (text) => process.stdout.write(`      ${text}\n`);

describe(`${CONNECTIONS} connections in one process`, () => {
  test("all get a broadcast, and all stop", async () => {
    const before = await harness.memory();
    const connections = count(CONNECTIONS).map((i) => build(i));
    await within("all starts", each(connections, (connection) => connection.start()), 60_000);
    const open = await harness.memory();
    const resident = (open.resident - before.resident) / CONNECTIONS;
    const objects = (open.objects - before.objects) / CONNECTIONS;
    say(`memory of a connection: ${kibibytes(resident)} resident, ${kibibytes(objects)} of it objects of JavaScript`);
    let got = 0;
    const all = new Promise((resolve) => {
      for (const connection of connections) connection.on("broadcast", (value) => value === 7 && ++got === CONNECTIONS && resolve());
    });
    await connections[0].send("ToAll", "broadcast", 7);
    await within("the broadcast on all connections", all, 30_000).catch((error) => assert.equal(got, CONNECTIONS, error.message));
    await within("all stops", Promise.all(connections.map((connection) => connection.stop())), 60_000);
    assert.ok(connections.every(({ state }) => state === "Disconnected"));
    assert.ok(resident < 128 * 1024, `a connection takes ${kibibytes(resident)}`);
  }, { timeout: 120_000 });

  test("all are lost at the same time, and come back", async ({ defer }) => {
    const connections = count(500).map((i) => {
      const builder = new HubConnectionBuilder()
        .withUrl(harness.proxy.url)
        .withAutomaticReconnect(Array(50).fill(100), { jitter: true })
        .configureLogging(LogLevel.None);
      return (i % 2 ? builder.withHubProtocol(new MessagePackHubProtocol()) : builder).build();
    });
    defer(() => Promise.all(connections.map((connection) => connection.stop())));
    await each(connections, (connection) => connection.start());
    const back = connections.map((connection) => new Promise((resolve) => connection.onreconnected(resolve)));
    await harness.proxy.cut();
    await within("all connections", Promise.all(back), 30_000);
    for (const connection of connections) assert.equal(await connection.invoke("Add", 1, 2), 3);
  }, { timeout: 60_000 });
});

describe(`${OPENED} connections opened and closed`, () => {
  test("nothing is left of them", async () => {
    const portion = OPENED / 10;
    const open = (first) =>
      each(count(portion).map((i) => first + i), async (i) => {
        const connection = build(i, i % 50 === 0 ? "LongPolling" : "WebSockets");
        connection.on("event", () => {});
        connection.onclose(() => {});
        await connection.start();
        await connection.invoke("Add", i, 1);
        if (i % 3) await connection.stop();
        else await connection.dispose();
      });
    const seen = [];
    for (let first = 0; first < OPENED; first += portion) {
      await within("a portion", open(first), 60_000);
      seen.push(await harness.memory());
    }
    // The first portions fill pools and caches.
    const plateau = (name) => {
      const values = seen.map((memory) => memory[name]);
      const [early, late] = [Math.max(...values.slice(3, 6)), Math.min(...values.slice(-3))];
      say(`${name} after each tenth, in MiB: ${values.map((value) => (value / 2 ** 20).toFixed(1)).join(", ")}`);
      return (late - early) / (portion * 5);
    };
    const left = { objects: plateau("objects"), buffers: plateau("buffers"), resident: plateau("resident") };
    assert.ok(left.objects < 200, `${left.objects} bytes of objects are left of each connection`);
    assert.ok(left.buffers < 100, `${left.buffers} bytes of buffers are left of each connection`);
    assert.ok(left.resident < 1_000, `${left.resident} resident bytes are left of each connection`);
  }, { timeout: 180_000 });

  test("connections that are never started are collected", async () => {
    const registry = { left: 1_000 };
    const collected = new FinalizationRegistry(() => registry.left--);
    for (let i = 0; i < 1_000; i++) collected.register(build(i), i);
    const all = async () => {
      while (registry.left > 0) await collect();
    };
    await within("garbage collection", all());
  });
});
