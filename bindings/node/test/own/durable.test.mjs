// Durable calls in a file: over the end of a process by kill -9, in the middle of sending.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HubConnectionBuilder, HubError } from "@hubwire/node";
import { assert, describe, Events, harness, test, within } from "../lib/harness.mjs";
import { run, start } from "../lib/processes.mjs";

const LIVES = 6;

function folder(defer) {
  const path = mkdtempSync(join(tmpdir(), "hubwire-durable-"));
  defer(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/**
 * Runs in a process: makes durable calls without end, from `first` on, and writes down which are safe. Calls of earlier lives are sent
 * meanwhile.
 */
async function life({ HubConnectionBuilder, LogLevel, MessagePackHubProtocol, RetryPolicies }, { url, path, key, first, messagePack }) {
  const builder = new HubConnectionBuilder()
    .withUrl(url)
    .withAutomaticReconnect(RetryPolicies.table(Array(1000).fill(20)), { firstStart: true })
    .withOutbox({ store: path })
    .configureLogging(LogLevel.None);
  const connection = (messagePack ? builder.withHubProtocol(new MessagePackHubProtocol()) : builder).build();
  void connection.start();
  console.log(`restored ${(await connection.restoredCalls()).length}`);
  for (let n = first; ; n++) {
    const call = connection.call("Note", [key, n], { durable: true });
    call.catch((error) => console.log(`failed ${n}: ${error.message}`));
    await call.accepted;
    console.log(`safe ${n}`);
  }
}

/** Runs in a process: sends what earlier lives have left, and nothing else. */
async function lastLife({ HubConnectionBuilder, LogLevel }, { url, path }) {
  const connection = new HubConnectionBuilder().withUrl(url).withOutbox({ store: path }).configureLogging(LogLevel.None).build();
  await connection.start();
  const restored = await connection.restoredCalls();
  for (const { target, result } of restored) {
    const value = await result.catch((error) => error.message);
    if (target !== "Note" || value != null) console.log(`${target} ended with ${value}`);
  }
  console.log(`depth ${connection.outbox.depth}`);
  await connection.stop();
}

const safe = (lines) => lines.map((line) => /^safe (\d+)$/.exec(line)?.[1]).filter(Boolean).map(Number);

async function noted(key) {
  const connection = new HubConnectionBuilder().withUrl(harness.server.url).build();
  await connection.start();
  try {
    return await connection.invoke("Noted", key);
  } finally {
    await connection.stop();
  }
}

describe("kill -9 with a durable outbox", () => {
  for (const messagePack of [false, true]) {
    test(`${LIVES} times in the middle of sending, in ${messagePack ? "MessagePack" : "JSON"}: each call comes once, in order`, async ({ defer }) => {
      const path = join(folder(defer), "outbox.redb");
      const key = `killed-${messagePack}`;
      const options = { url: harness.proxy.url, path, key, messagePack };
      let first = 0;
      const all = [];
      let restored = 0;
      for (let i = 0; i < LIVES; i++) {
        const child = start(life, { ...options, first });
        defer(() => child.kill());
        // In some lives the server is away, or goes away.
        if (i % 3 === 1) await harness.proxy.block();
        await child.line(`safe ${first + 20 + 7 * i}`);
        if (i % 3 === 2) await harness.proxy.cut();
        child.kill();
        const { signal, lines, errors } = await child.end();
        assert.deepEqual([signal, errors, lines.filter((line) => line.startsWith("failed"))], ["SIGKILL", "", []]);
        restored += Number(/^restored (\d+)$/.exec(lines[0])[1]);
        const these = safe(lines);
        all.push(...these);
        // The call after the last that is known to be safe may be in the store, too.
        first = these.at(-1) + 2;
        await harness.proxy.unblock();
      }
      assert.ok(restored > 0, "no life had anything to send for an earlier one");
      assert.deepEqual(await run(lastLife, options), { code: 0, signal: null, lines: ["depth 0"], errors: "" });
      const numbers = await noted(key);
      assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), "each once and in order");
      assert.deepEqual(all.filter((n) => !numbers.includes(n)), [], "calls that were safe and did not come");
    }, { timeout: 60_000 });
  }

  test("what was never sent is sent by the next process", async ({ defer }) => {
    const path = join(folder(defer), "outbox.redb");
    await harness.proxy.block();
    const options = { url: harness.proxy.url, path, key: "never-sent", first: 0 };
    const child = start(life, options);
    defer(() => child.kill());
    await child.line("safe 30");
    child.kill();
    const all = safe((await child.end()).lines);
    await harness.proxy.unblock();
    assert.deepEqual(await run(lastLife, options), { code: 0, signal: null, lines: ["depth 0"], errors: "" });
    assert.deepEqual((await noted("never-sent")).slice(0, all.length), all);
  });
});

describe("a store", () => {
  test("that another process uses: the second is told, and can use it when the first has ended", async ({ defer }) => {
    const path = join(folder(defer), "outbox.redb");
    const first = start(life, { url: harness.server.url, path, key: "shared", first: 0 });
    defer(() => first.kill());
    await first.line("safe 0");
    const second = await run(async ({ HubConnectionBuilder, HubError, LogLevel }, { url, path }) => {
      const connection = new HubConnectionBuilder().withUrl(url).withOutbox({ store: path }).configureLogging(LogLevel.None).build();
      const error = await connection.start().catch((error) => error);
      console.log(error instanceof HubError, error.kind, error.message.includes(path), /in use|already open|another/i.test(error.message), connection.state);
      console.log((await connection.restoredCalls()).length);
      const call = connection.call("Echo", [1], { durable: true });
      console.log(await call.catch(({ kind }) => kind));
    }, { url: harness.server.url, path });
    assert.deepEqual(second, { code: 0, signal: null, lines: ["true Misuse true true Disconnected", "0", "Misuse"], errors: "" });
    first.kill();
    await first.end();
    const third = await run(lastLife, { url: harness.server.url, path });
    assert.deepEqual(third, { code: 0, signal: null, lines: ["depth 0"], errors: "" });
  });

  test("that two connections of one process want: the second is told", async ({ defer }) => {
    const path = join(folder(defer), "outbox.redb");
    const build = () => new HubConnectionBuilder().withUrl(harness.server.url).withOutbox({ store: path }).configureLogging("none").build();
    const [first, second] = [build(), build()];
    defer(() => Promise.all([first.dispose(), second.dispose()]));
    const ends = await Promise.allSettled([first.start(), second.start()]);
    const errors = ends.flatMap(({ reason }) => (reason ? [reason] : []));
    assert.equal(errors.length, 1, "one of the two was refused");
    assert.ok(errors[0] instanceof HubError && errors[0].message.includes(path), String(errors[0]));
  });

  test("that is damaged is set aside, which is told", async ({ defer }) => {
    const path = join(folder(defer), "outbox.redb");
    writeFileSync(path, "this is no store ".repeat(1000));
    const connection = new HubConnectionBuilder().withUrl(harness.server.url).withOutbox({ store: path }).configureLogging("none").build();
    defer(() => connection.dispose());
    const told = new Events();
    connection.onEvent("storeFailed", told.push);
    await connection.start();
    const { error } = await told.next("what happened to the store");
    assert.equal(error.kind, "Gap");
    assert.match(error.message, /outbox\.redb\.corrupt-1/);
    assert.equal(readFileSync(`${path}.corrupt-1`, "utf8").slice(0, 16), "this is no store");
    assert.equal(await connection.call("Echo", [1], { durable: true }), 1);
  });

  for (const [what, make] of [
    ["in a folder that is not there", (path) => join(path, "no", "such", "folder", "outbox.redb")],
    ["that is a folder", (path) => path],
    ["with a name that no file can have", () => "x".repeat(10_000)],
    ["with a zero in its name", () => "a\u0000b"],
  ]) {
    test(`${what}: the start is refused with a text, the process goes on`, async ({ defer }) => {
      const path = make(folder(defer));
      const connection = new HubConnectionBuilder().withUrl(harness.server.url).withOutbox({ store: path }).configureLogging("none").build();
      defer(() => connection.dispose());
      const error = await assert.rejects(within("the refusal", connection.start()), /./);
      assert.ok(error instanceof HubError, String(error));
      assert.deepEqual(await connection.restoredCalls(), []);
      await assert.rejects(connection.call("Echo", [1], { durable: true }), /./);
    });
  }
});
