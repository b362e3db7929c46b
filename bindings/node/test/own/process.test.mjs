// When a process ends, and how: connections keep it alive as long as they are in use, and no longer.
import { assert, describe, harness, test } from "../lib/harness.mjs";
import { run, start } from "../lib/processes.mjs";

const TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"];
const urls = () => ({ url: harness.server.url, proxyUrl: harness.proxy.url });

/** It ended by itself, with nothing to complain of. */
function assertClean({ code, signal, errors }, lines, actual) {
  assert.deepEqual({ code, signal, errors, lines: actual }, { code: 0, signal: null, errors: "", lines });
}

describe("a process ends by itself", () => {
  test("when its connection was never started", async () => {
    const end = await run(({ HubConnectionBuilder }, { url }) => {
      const connection = new HubConnectionBuilder().withUrl(url).build();
      connection.on("event", () => {});
      console.log(connection.state);
    }, urls());
    assertClean(end, ["Disconnected"], end.lines);
  });

  for (const transport of TRANSPORTS) {
    test(`when its connection over ${transport} was stopped`, async () => {
      const end = await run(async ({ HubConnectionBuilder, HttpTransportType, LogLevel }, { url, transport }) => {
        const connection = new HubConnectionBuilder()
          .withUrl(url, { transport: HttpTransportType[transport] })
          .configureLogging(LogLevel.None)
          .build();
        await connection.start();
        console.log(await connection.invoke("Add", 1, 2));
        await connection.stop();
        console.log(connection.state);
      }, { ...urls(), transport });
      assertClean(end, ["3", "Disconnected"], end.lines);
    });
  }

  test("when its connection has given up", async () => {
    const end = await run(async ({ HubConnectionBuilder, LogLevel, RetryPolicies }, { url }) => {
      const connection = new HubConnectionBuilder()
        .withUrl(url.replace(/:\d+/, ":9"))
        .withAutomaticReconnect(RetryPolicies.table([1, 1, 1]), { firstStart: true })
        .configureLogging(LogLevel.None)
        .build();
      await connection.start().catch(({ kind }) => console.log(kind));
      console.log(connection.state);
    }, urls());
    assertClean(end, ["Network", "Disconnected"], end.lines);
  });

  test("when the server has closed its connection", async () => {
    const end = await run(async ({ HubConnectionBuilder, LogLevel }, { url }) => {
      const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
      connection.onclose((error) => console.log(error.message));
      await connection.start();
      connection.send("CloseMe", false, "bye");
    }, urls());
    assertClean(end, ["Server returned an error on close: bye"], end.lines);
  });

  test("when calls without a connection were refused, and not before", async () => {
    const end = await run(async ({ HubConnectionBuilder, LogLevel }, { url }) => {
      const build = () => new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None);
      const refused = (connection) => connection.invoke("Echo", 1).catch(({ message }) => console.log(message.slice(0, 16)));
      const [one, two] = [build().build(), build().withOutbox({}).build()];
      await refused(one);
      await one.start();
      await one.stop();
      await refused(one);
      // It waits for a start that does not come, which is no reason to go on.
      void two.invoke("Echo", 1);
      await two.call("Echo", [2]).accepted;
      console.log(two.outbox.depth);
    }, urls());
    assertClean(end, ["Cannot send data", "Cannot send data", "2"], end.lines);
  });

  test("when its connections were disposed of, and when nobody waits for the stop", async () => {
    const end = await run(async ({ HubConnectionBuilder, LogLevel }, { url }) => {
      const build = () => new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
      const [one, two, three] = [build(), build(), build()];
      await Promise.all([one.start(), two.start()]);
      await one.dispose();
      void two.stop();
      void three.start().catch(({ name }) => console.log(name));
      void three.stop();
    }, urls());
    assertClean(end, ["AbortError"], end.lines);
  });

  test("when a timer of its own, and not the connection, was all that it waited for", async () => {
    const end = await run(async ({ HubConnectionBuilder, LogLevel }, { url }) => {
      const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
      await connection.start();
      setTimeout(() => void connection.stop().then(() => console.log("stopped")), 1);
    }, urls());
    assertClean(end, ["stopped"], end.lines);
  });
});

describe("a process goes on", () => {
  for (const transport of TRANSPORTS) {
    test(`while its connection over ${transport} is open, and nothing else is there`, async () => {
      const child = start(async ({ HubConnectionBuilder, HttpTransportType, LogLevel }, { url, transport }) => {
        const connection = new HubConnectionBuilder()
          .withUrl(url, { transport: HttpTransportType[transport] })
          .configureLogging(LogLevel.None)
          .build();
        connection.on("end", async () => {
          await connection.stop();
          console.log("stopped");
        });
        await connection.start();
        await connection.invoke("Join", `alone-${transport}`);
        // Garbage collection does not take what is in use.
        for (let i = 0; i < 3; i++) globalThis.gc();
        console.log("open");
      }, { ...urls(), transport }, "--expose-gc");
      child.child.stdin.end();
      await child.line("open");
      const { HubConnectionBuilder } = await import("@hubwire/node");
      const other = new HubConnectionBuilder().withUrl(harness.server.url).build();
      await other.start();
      await other.invoke("ToGroup", `alone-${transport}`, "end", 1);
      assertClean(await child.end(), ["open", "stopped"], child.lines);
      await other.stop();
    });
  }

  test("while its connection is tried again", async () => {
    await harness.proxy.block();
    const child = start(async ({ HubConnectionBuilder, LogLevel, RetryPolicies }, { proxyUrl }) => {
      const connection = new HubConnectionBuilder()
        .withUrl(proxyUrl)
        .withAutomaticReconnect(RetryPolicies.table(Array(1000).fill(20)), { firstStart: true })
        .configureLogging(LogLevel.None)
        .build();
      let tries = 0;
      connection.onEvent("retryScheduled", () => ++tries === 3 && console.log("tried"));
      await connection.start();
      console.log(await connection.invoke("Add", 1, 2));
      await connection.stop();
    }, urls());
    child.child.stdin.end();
    await child.line("tried");
    await harness.proxy.unblock();
    assertClean(await child.end(), ["tried", "3"], child.lines);
  });
});

describe("process.exit", () => {
  for (const transport of TRANSPORTS) {
    test(`ends at once with its code, with connections over ${transport} in the middle of traffic`, async () => {
      const end = await run(async ({ HubConnectionBuilder, HttpTransportType, LogLevel, MessagePackHubProtocol }, { url, transport }) => {
        const connections = Array.from({ length: 20 }, (_, i) => {
          const builder = new HubConnectionBuilder()
            .withUrl(url, { transport: HttpTransportType[transport] })
            .configureLogging(LogLevel.None);
          if (i % 2 && transport !== "ServerSentEvents") builder.withHubProtocol(new MessagePackHubProtocol());
          return builder.build();
        });
        await Promise.all(connections.map((connection) => connection.start()));
        for (const [i, connection] of connections.entries())
          connection.stream("Forever", `exit-${transport}-${i}`, 0).subscribe({
            next: (n) => n === 100 && i === 0 && process.exit(7),
            error: () => {},
            complete: () => {},
          });
      }, { ...urls(), transport });
      assert.deepEqual(end, { code: 7, signal: null, lines: [], errors: "" });
    });
  }

  test("while a connection is being started", async () => {
    const end = await run(({ HubConnectionBuilder, LogLevel }, { url }) => {
      const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
      void connection.start();
      setImmediate(() => process.exit(3));
    }, urls());
    assert.deepEqual(end, { code: 3, signal: null, lines: [], errors: "" });
  });

  test("an error that nobody catches ends the process as it does without connections", async () => {
    const end = await run(async ({ HubConnectionBuilder, LogLevel }, { url }) => {
      const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
      await connection.start();
      setImmediate(() => {
        throw new Error("of the application");
      });
    }, urls());
    assert.deepEqual([end.code, end.signal], [1, null]);
    assert.match(end.errors, /of the application/);
  });

  test("a signal ends the process", async () => {
    const child = start(async ({ HubConnectionBuilder, LogLevel }, { url }) => {
      const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
      await connection.start();
      console.log("open");
    }, urls());
    await child.line("open");
    child.kill("SIGTERM");
    const { code, signal, errors } = await child.end();
    assert.deepEqual({ code, signal, errors }, { code: null, signal: "SIGTERM", errors: "" });
  });
});
