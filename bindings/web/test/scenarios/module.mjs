// The WebAssembly module: when it is loaded, when it fails, and how much memory it takes.
import { assert, within } from "../lib/assert.mjs";
import { exportNames } from "../lib/exports.mjs";

const connect = async ({ url, options }) => {
  const { HubConnectionBuilder, LogLevel } = await import("/dist/index.js");
  // The server wants to hear of its clients every five seconds.
  const connection = new HubConnectionBuilder()
    .withUrl(url, options ?? {})
    .withKeepAliveInterval(1_000)
    .configureLogging(LogLevel.None)
    .build();
  globalThis.connection = connection;
  await connection.start();
  return connection.invoke("Echo", "hello");
};

/** Keeps the module back until a WebSocket is made, and counts what is asked for. */
const heldBack = () => {
  globalThis.asked = { negotiations: 0, sockets: 0, modules: 0 };
  let release;
  const socketMade = new Promise((resolve) => (release = resolve));
  const { fetch, WebSocket } = globalThis;
  globalThis.fetch = async (resource, options) => {
    const url = String(resource.url ?? resource);
    globalThis.asked.negotiations += url.includes("/negotiate");
    if (url.endsWith(".wasm")) {
      globalThis.asked.modules += 1;
      await socketMade;
    }
    return fetch(resource, options);
  };
  globalThis.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      globalThis.asked.sockets += 1;
      release();
    }
  };
};

/** Runs in the page before everything: notes the memory of the module, and makes one of its functions fail when asked to. */
const instrumented = (exportNames) => {
  const { instantiateStreaming } = WebAssembly;
  WebAssembly.instantiateStreaming = async (...args) => {
    const { module, instance } = await instantiateStreaming(...args);
    const exports = { ...instance.exports };
    globalThis.wasmMemory = exports[exportNames.memory];
    for (const [name, short] of Object.entries(exportNames)) {
      const value = exports[short];
      if (name.startsWith("connection_")) {
        exports[short] = (...args) => {
          if (globalThis.trapIn === name) {
            globalThis.trapIn = undefined;
            throw new WebAssembly.RuntimeError("unreachable");
          }
          return value(...args);
        };
      }
    }
    return { module, instance: { exports } };
  };
};

export default ({ test }) => {
  for (const skipNegotiation of [false, true]) {
    const how = skipNegotiation ? "without negotiation" : "with negotiation";
    test(`the first connection does not wait for the module, ${how}`, async ({ world }) => {
      const page = await world.page();
      await page.evaluate(heldBack);
      const options = skipNegotiation ? { skipNegotiation, transport: 1 } : {};
      const answer = page.evaluate(connect, { url: world.server.url, options });
      assert.equal(await within("the answer, for which the socket must be made before the module is there", answer), "hello");
      const asked = await page.evaluate(() => globalThis.asked);
      assert.deepEqual(asked, { negotiations: skipNegotiation ? 0 : 1, sockets: 1, modules: 1 });
    });
  }

  test("a module that cannot be loaded fails the start, and the next start tries again", async ({ world }) => {
    const page = await world.page();
    world.stray.expect("404|Failed to load");
    await page.route("**/*.wasm", (route) => route.fulfill({ status: 404, body: "not here" }), { times: 1 });
    const failure = await page.evaluate(async (url) => {
      const { HubConnectionBuilder, LogLevel } = await import("/dist/index.js");
      const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
      globalThis.connection = connection;
      return connection.start().then(
        () => "started",
        (error) => `${error.name}: ${error.message} (${connection.state})`,
      );
    }, world.server.url);
    assert.match(failure, /^HubError: The WebAssembly module could not be loaded: .* \(Disconnected\)$/);
    const answer = page.evaluate(async () => {
      await globalThis.connection.start();
      return globalThis.connection.invoke("Echo", "hello");
    });
    assert.equal(await within("the answer after the second start", answer), "hello");
  });

  test("a trap closes the connection with an error, and others go on", async ({ world }) => {
    const page = await world.page();
    await page.evaluate(instrumented, exportNames);
    await page.evaluate(connect, { url: world.server.url });
    const result = page.evaluate(async (url) => {
      const { HubConnectionBuilder, LogLevel, Subject } = await import("/dist/index.js");
      const build = () => new HubConnectionBuilder().withUrl(url).withAutomaticReconnect().configureLogging(LogLevel.None).build();
      const connection = build();
      const closed = new Promise((resolve) => connection.onclose((error) => resolve(error?.message)));
      await connection.start();
      // The upload never ends, and so the call.
      const pending = connection.invoke("Sum", new Subject()).then(() => "answered", (error) => `${error.kind}: ${error.message}`);
      connection.on("event", () => {});
      globalThis.trapIn = "connection_passes";
      await connection.send("ToCaller", "event", 1);
      const [error, call] = [await closed, await pending];
      const later = await connection.invoke("Echo", 1).then(() => "answered", (error) => error.kind);
      const stopped = await connection.stop();
      const next = build();
      await next.start();
      const answers = [await next.invoke("Echo", 2), await globalThis.connection.invoke("Echo", 3)];
      await next.stop();
      return { error, call, later, stopped, state: connection.state, answers };
    }, world.server.url);
    const { error, call, later, state, answers } = await within("the end of the connection", result);
    assert.match(error, /core has failed: unreachable/);
    assert.match(call, /^OutcomeUnknown: .*core has failed/);
    assert.equal(later, "OutcomeUnknown");
    assert.equal(state, "Disconnected");
    assert.deepEqual(answers, [2, 3]);
  });

  test("a connection that was stopped and that nobody holds is collected, and what it has in the module", async ({ world }) => {
    const page = await world.page();
    await page.evaluate(connect, { url: world.server.url });
    await page.evaluate(async (url) => {
      const { HubConnectionBuilder, LogLevel } = await import("/dist/index.js");
      globalThis.dropped = [];
      for (let i = 0; i < 20; i++) {
        const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
        connection.on("event", () => {});
        await connection.start();
        await connection.invoke("Echo", i);
        await connection.stop();
        globalThis.dropped.push(new WeakRef(connection));
      }
    }, world.server.url);
    const left = async () => {
      await world.memory(page);
      return page.evaluate(() => globalThis.dropped.filter((connection) => connection.deref()).length);
    };
    // The last one may be on the stack of something that has ended.
    const collected = async () => {
      while ((await left()) > 1);
    };
    await within("the collection of the connections", collected());
    assert.equal(await page.evaluate(() => globalThis.connection.invoke("Echo", "still here")), "still here");
  });

  test("memory stays flat over 600,000 messages, which at 1,000 a second are ten minutes", async ({ world }) => {
    const page = await world.page();
    await page.evaluate(instrumented, exportNames);
    await page.evaluate(connect, { url: world.server.url });
    const round = async () => {
      await page.evaluate(async () => {
        const { connection } = globalThis;
        connection.off("event");
        let got = 0;
        connection.on("event", () => (got += 1));
        // Calls, completions and streams besides, in smaller numbers.
        await Promise.all(Array.from({ length: 500 }, (_, i) => connection.invoke("Echo", { i, text: "x".repeat(200) })));
        await new Promise((complete, error) => connection.stream("Count", 2000, 0).subscribe({ next() {}, complete, error }));
        for (let first = 0; first < 50_000; first += 1_000) await connection.invoke("PushFrom", "event", first, 1_000);
        if (got !== 50_000) throw new Error(`${got} messages came`);
      });
      const { objects } = await world.memory(page);
      return { heap: objects, wasm: await page.evaluate(() => globalThis.wasmMemory.buffer.byteLength) };
    };
    // Caches and compiled code fill up at first.
    await round();
    const first = await round();
    let last = first;
    for (let i = 0; i < 10; i++) last = await round();
    const grown = `heap ${first.heap} -> ${last.heap}, module ${first.wasm} -> ${last.wasm} bytes`;
    assert.ok(last.heap < first.heap + 500_000, `the heap grows: ${grown}`);
    assert.equal(last.wasm, first.wasm, `the memory of the module grows: ${grown}`);
    assert.equal(await page.evaluate(async () => (await import("/dist/index.js")).liveHandles()), 0);
  }, { timeout: 120_000 });
};
