// Durable calls in IndexedDB: over reloads, over the end of a tab, and with several tabs that share the store.
import { assert, within } from "../lib/assert.mjs";

const count = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);

/** Runs in a page: a connection with a durable outbox. Does not wait until it is connected. */
async function open({ url, store, messagePack }) {
  const { HubConnectionBuilder, LogLevel, RetryPolicies } = await import("/dist/index.js");
  const { MessagePackHubProtocol } = await import("/dist/msgpack.js");
  const builder = new HubConnectionBuilder()
    .withUrl(url)
    .withAutomaticReconnect(RetryPolicies.table(Array(100).fill(50)), { firstStart: true })
    .withOutbox({ store })
    .configureLogging(LogLevel.None);
  const connection = (messagePack ? builder.withHubProtocol(new MessagePackHubProtocol()) : builder).build();
  globalThis.connection = connection;
  globalThis.started = connection.start();
  globalThis.started.catch(() => {});
}

/** Makes durable calls and waits until they are safe in the store. */
async function note({ key, numbers }) {
  const calls = numbers.map((n) => globalThis.connection.call("Note", [key, n], { durable: true }));
  for (const call of calls) call.catch(() => {});
  await Promise.all(calls.map((call) => call.accepted));
}

const noted = (page, key) => page.evaluate((key) => globalThis.connection.invoke("Noted", key), key);

async function connected(page, what = "the connection") {
  await within(what, page.evaluate(() => globalThis.started));
}

/** Asks the server until it has that many numbers under the key. */
async function complete(page, key, length) {
  const all = async () => {
    for (;;) {
      const numbers = await noted(page, key);
      if (numbers.length >= length) return numbers;
    }
  };
  return within(`${length} numbers under ${key}`, all());
}

export default ({ test }) => {
  for (const messagePack of [false, true]) {
    test(`calls that waited before a reload are sent after it, in ${messagePack ? "MessagePack" : "JSON"}`, async ({ world }) => {
      const key = `reload-${messagePack}`;
      const page = await world.page();
      await page.evaluate(open, { url: world.proxy.url, store: key, messagePack });
      await connected(page);
      await page.evaluate(note, { key, numbers: count(10) });
      await complete(page, key, 10);
      await page.waitForFunction(() => globalThis.connection.outbox.depth === 0, undefined, { polling: 20 });
      await world.proxy.block();
      await page.waitForFunction(() => globalThis.connection.state === "Reconnecting", undefined, { polling: 20 });
      await page.evaluate(note, { key, numbers: count(40, 10) });
      assert.equal(await page.evaluate(() => globalThis.connection.outbox.depth), 40);
      await page.reload();
      await world.proxy.unblock();
      await page.evaluate(open, { url: world.proxy.url, store: key, messagePack });
      await connected(page);
      assert.deepEqual(await complete(page, key, 50), count(50));
      // Nothing is left for the next reload.
      await page.waitForFunction(() => globalThis.connection.outbox.depth === 0, undefined, { polling: 20 });
      await page.reload();
      await page.evaluate(open, { url: world.proxy.url, store: key, messagePack });
      await connected(page);
      assert.deepEqual(await noted(page, key), count(50));
    });
  }

  test("the ends of restored calls are told", async ({ world }) => {
    const page = await world.page();
    const options = { url: world.proxy.url, store: "restored" };
    await world.proxy.block();
    await page.evaluate(open, options);
    await page.evaluate(note, { key: "restored", numbers: [1, 2] });
    await page.reload();
    await page.evaluate(open, options);
    const restored = page.evaluate(async () => {
      const calls = await globalThis.connection.restoredCalls();
      return Promise.all(calls.map(async (call) => [call.target, await call.result]));
    });
    await world.proxy.unblock();
    assert.deepEqual(await within("the ends", restored), [["Note", null], ["Note", null]]);
  });

  test("what a closed tab has left is sent by another tab that is open, once", async ({ world }) => {
    const [witness, page] = [await world.page(), await world.page()];
    await witness.evaluate(open, { url: world.server.url, store: "left" });
    await connected(witness);
    await world.proxy.block();
    await page.evaluate(open, { url: world.proxy.url, store: "left" });
    await page.evaluate(note, { key: "left", numbers: count(20) });
    // The witness looks for other tabs when it connects.
    await witness.evaluate(async () => {
      await globalThis.connection.stop();
      await globalThis.connection.start();
    });
    await page.close();
    assert.deepEqual(await complete(witness, "left", 20), count(20));
  });

  test("two tabs send their own calls at the same time, each once", async ({ world }) => {
    const pages = [await world.page(), await world.page()];
    for (const page of pages) await page.evaluate(open, { url: world.proxy.url, store: "tabs" });
    for (const page of pages) await connected(page);
    await world.proxy.block();
    for (const page of pages)
      await page.waitForFunction(() => globalThis.connection.state === "Reconnecting", undefined, { polling: 20 });
    await Promise.all(pages.map((page, i) => page.evaluate(note, { key: `tab-${i}`, numbers: count(30) })));
    await world.proxy.unblock();
    for (const [i, page] of pages.entries()) {
      // A tab that nobody sees takes its time.
      await world.show(page);
      assert.deepEqual(await complete(page, `tab-${i}`, 30), count(30));
    }
    for (const [i, page] of pages.entries()) {
      await page.waitForFunction(() => globalThis.connection.outbox.depth === 0, undefined, { polling: 20 });
      assert.deepEqual(await noted(page, `tab-${i}`), count(30));
    }
  });
};
