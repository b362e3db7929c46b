// JavaScript is busy, or handlers are slow, while the server sends as fast as it can: what waits is bounded, and nothing is lost.
import { Worker } from "node:worker_threads";
import { HubConnectionBuilder, HttpTransportType, LogLevel } from "@hubwire/node";
import { MessagePackHubProtocol } from "@hubwire/node/msgpack";
import { assert, describe, harness, test, within } from "../lib/harness.mjs";

const MESSAGES = 100_000;
const BYTES = 2_000;
/** The mailbox of the native module, and what sockets hold on both sides. */
const BOUND = 64 << 20;

const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const say = (text) => process.stdout.write(`      ${text}\n`);

/** A server in a thread of its own: messages with a number and filling, as many as the socket takes. `sent` counts them. */
async function flood(defer, encoding) {
  const sent = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL("../lib/flood.mjs", import.meta.url), { workerData: { sent, messages: MESSAGES, bytes: BYTES, encoding } });
  defer(() => worker.terminate());
  const url = await within("the server", new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject)));
  return { url, sent };
}

for (const encoding of ["json", "messagepack"]) {
  describe(`${MESSAGES} messages of ${BYTES} bytes in ${encoding}`, () => {
    test("while JavaScript is blocked, they wait in the sockets; then all come in order", async ({ defer }) => {
      const { url, sent } = await flood(defer, encoding);
      const builder = new HubConnectionBuilder()
        .withUrl(url, { transport: HttpTransportType.WebSockets, skipNegotiation: true })
        .configureLogging(LogLevel.None);
      const connection = (encoding === "json" ? builder : builder.withHubProtocol(new MessagePackHubProtocol())).build();
      defer(() => connection.stop());
      let [next, wrong] = [0, 0];
      let highest = 0;
      const all = new Promise((resolve) => {
        connection.on("event", (n, filling) => {
          wrong += n !== next || filling.length !== BYTES;
          next = n + 1;
          if (n % 1_000 === 0) highest = Math.max(highest, process.memoryUsage.rss());
          if (next === MESSAGES) resolve();
        });
      });
      await connection.start();
      await connection.invoke("Begin");
      const before = (await harness.memory()).resident;
      // Blocked until the server can send no more: twice the same number, with time between for it to grow.
      let last = -1;
      const never = new Int32Array(new SharedArrayBuffer(4));
      do {
        last = Atomics.load(sent, 0);
        Atomics.wait(never, 0, 0, 1_000);
      } while (Atomics.load(sent, 0) !== last);
      const grown = process.memoryUsage.rss() - before;
      say(`blocked: ${last} messages (${mebibytes(last * BYTES)}) had left the server, and ${mebibytes(grown)} more memory was in use`);
      assert.ok(last < MESSAGES / 2, `${last} messages left the server, and nobody read them`);
      assert.ok(grown < BOUND, `${mebibytes(grown)} more`);
      await within("all messages", all, 60_000);
      say(`then: ${mebibytes(highest - before)} more memory at most`);
      assert.deepEqual([next, wrong], [MESSAGES, 0]);
      assert.ok(highest - before < 3 * BOUND, `${mebibytes(highest - before)} more`);
    }, { timeout: 120_000 });
  });
}

describe("our server", () => {
  test("keeps a connection whose JavaScript is blocked for longer than it waits for a sign of life", async ({ defer }) => {
    const connection = new HubConnectionBuilder()
      .withUrl(harness.server.url)
      .withKeepAliveInterval(1_000)
      .configureLogging(LogLevel.None)
      .build();
    defer(() => connection.stop());
    await connection.start();
    const id = connection.connectionId;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_500);
    assert.equal(await connection.invoke("Add", 1, 2), 3);
    assert.equal(connection.connectionId, id);
  });
});

describe("uploads", () => {
  test("are pulled no faster than the connection takes them", async ({ defer }) => {
    const connection = new HubConnectionBuilder().withUrl(harness.proxy.url).configureLogging(LogLevel.None).build();
    defer(() => connection.stop());
    await connection.start();
    let pulled = 0;
    const filling = "x".repeat(10_000);
    async function* items() {
      for (;;) {
        pulled++;
        yield filling;
      }
    }
    const call = connection.invoke("Label", "x", items());
    call.catch(() => {});
    await connection.invoke("Echo", 1);
    await harness.proxy.halfOpen();
    // Until nothing more is asked of the source for a second.
    let last;
    do {
      last = pulled;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    } while (pulled !== last);
    say(`${pulled} items (${mebibytes(pulled * filling.length)}) were taken before the source had to wait`);
    assert.ok(pulled * filling.length < BOUND, `${mebibytes(pulled * filling.length)} were taken`);
    await harness.proxy.unblock();
    await within("the stop", connection.stop());
  }, { timeout: 60_000 });
});
