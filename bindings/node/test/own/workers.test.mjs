// Connections in worker threads: each thread has its own, and takes none of the others with it.
import * as hubwire from "@hubwire/node";
import { assert, describe, Events, harness, test, within } from "../lib/harness.mjs";

const WORKERS = 4;
const TERMINATIONS = 50;
const TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"];

/** Runs in a worker: connections with both encodings, which call and are called. */
async function traffic({ HubConnectionBuilder, LogLevel, MessagePackHubProtocol }, { url, calls }) {
  const seen = [];
  for (const messagePack of [false, true]) {
    const builder = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None);
    const connection = (messagePack ? builder.withHubProtocol(new MessagePackHubProtocol()) : builder).build();
    let pushed = 0;
    connection.on("event", () => pushed++);
    await connection.start();
    let sum = 0;
    for (let i = 0; i < calls; i++) sum += await connection.invoke("Add", i, 1);
    await connection.invoke("PushMany", "event", calls);
    await connection.stop();
    seen.push(sum, pushed);
  }
  return seen;
}

/** Runs in a worker: connections on which messages come and go until the thread ends. */
async function endless({ HubConnectionBuilder, HttpTransportType, LogLevel, MessagePackHubProtocol }, { url, transport }) {
  const opened = [0, 1, 2].map(async (i) => {
    const builder = new HubConnectionBuilder()
      .withUrl(url, { transport: HttpTransportType[transport] })
      .configureLogging(LogLevel.None);
    if (i === 1 && transport !== "ServerSentEvents") builder.withHubProtocol(new MessagePackHubProtocol());
    const connection = builder.build();
    await connection.start();
    let items = 0;
    const running = new Promise((resolve) => {
      const next = () => ++items === 50 && resolve();
      connection.stream("Forever", `worker-${i}`, 0).subscribe({ next, error: () => {}, complete: () => {} });
    });
    const call = () => connection.invoke("Echo", "x").then(call, () => {});
    for (let n = 0; n < 4; n++) void call();
    await running;
  });
  await Promise.all(opened);
}

async function connect(defer) {
  const connection = new hubwire.HubConnectionBuilder()
    .withUrl(harness.server.url)
    // The server waits for 5 s, and threads may take longer to start.
    .withKeepAliveInterval(1_000)
    .configureLogging(hubwire.LogLevel.None)
    .build();
  defer(() => connection.stop());
  await connection.start();
  return connection;
}

describe("worker threads", () => {
  test(`${WORKERS} have connections at the same time, beside those of the main thread`, async ({ defer }) => {
    const connection = await connect(defer);
    const workers = Array.from({ length: WORKERS }, () => harness.worker());
    workers.forEach(({ close }) => defer(close));
    const calls = 200;
    const all = workers.map(({ run }) => run(traffic, { url: harness.server.url, calls }));
    const sum = (calls * (calls + 1)) / 2;
    for (const seen of await within("the workers", Promise.all(all), 20_000)) assert.deepEqual(seen, [sum, calls, sum, calls]);
    assert.equal(await connection.invoke("Add", 1, 2), 3);
  });

  test("a thread ends by itself when its connections have", async ({ defer }) => {
    const { Worker } = await import("node:worker_threads");
    const source = `
      const { HubConnectionBuilder } = require("@hubwire/node");
      const { workerData } = require("node:worker_threads");
      (async () => {
        const connection = new HubConnectionBuilder().withUrl(workerData).configureLogging("none").build();
        await connection.start();
        await connection.invoke("Echo", 1);
        await connection.stop();
      })();`;
    const worker = new Worker(source, { eval: true, workerData: harness.server.url });
    defer(() => worker.terminate());
    const ended = new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
    assert.equal(await within("the end of the thread", ended), 0);
  });

  for (const transport of TRANSPORTS) {
    test(`can be terminated in the middle of traffic over ${transport}; the main thread goes on`, async ({ defer }) => {
      const connection = await connect(defer);
      const got = new Events();
      connection.on("event", got.push);
      const times = transport === "WebSockets" ? TERMINATIONS : 10;
      for (let i = 0; i < times; i += 2) {
        const workers = [harness.worker(), harness.worker()];
        await within("traffic", Promise.all(workers.map(({ run }) => run(endless, { url: harness.server.url, transport }))), 20_000);
        await within("the end of the threads", Promise.all(workers.map(({ close }) => close())));
        await connection.send("ToCaller", "event", i);
        assert.equal(await got.next("a message to the main thread"), i);
      }
    }, { timeout: 90_000 });
  }

  test("can be terminated while they start and stop connections", async ({ defer }) => {
    const connection = await connect(defer);
    for (let i = 0; i < 10; i++) {
      const { run, close } = harness.worker();
      const restless = async ({ HubConnectionBuilder, LogLevel }, url) => {
        const go = async () => {
          for (;;) {
            const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
            const started = connection.start().catch(() => {});
            await Promise.race([started, new Promise(setImmediate)]);
            await connection.stop();
          }
        };
        for (let n = 0; n < 10; n++) void go();
      };
      await run(restless, harness.server.url);
      await close();
    }
    assert.equal(await connection.invoke("Echo", "still here"), "still here");
  });

  test("leave nothing open at the server", async ({ defer }) => {
    const connection = await connect(defer);
    const { run, close } = harness.worker();
    const id = await run(async ({ HubConnectionBuilder }, url) => {
      const connection = new HubConnectionBuilder().withUrl(url).build();
      await connection.start();
      return connection.connectionId;
    }, harness.server.url);
    await close();
    const seen = async () => {
      for (;;) if ((await connection.invoke("Disconnected", id)).seen) return;
    };
    await within("the end of the connection of a thread that was terminated", seen());
  });
});
