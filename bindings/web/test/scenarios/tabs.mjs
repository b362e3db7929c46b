// What happens to connections when tabs are opened, reloaded, closed and put away.
import { assert, within } from "../lib/assert.mjs";

/** Runs in a page: connects, and notes what comes. Gives the connection id. */
async function connect(url) {
  const { HubConnectionBuilder, LogLevel } = await import("/dist/index.js");
  const connection = new HubConnectionBuilder()
    .withUrl(url)
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None)
    .build();
  globalThis.connection = connection;
  globalThis.news = [];
  connection.on("news", (text) => globalThis.news.push(text));
  globalThis.reconnected = new Promise((resolve) => connection.onreconnected(resolve));
  await connection.start();
  return connection.connectionId;
}

const invoke = (page, ...call) => page.evaluate((call) => globalThis.connection.invoke(...call), call);

/** Asks the server until it has seen the end of that connection. */
async function ended(page, id) {
  while (!(await invoke(page, "Disconnected", id)).seen);
}

export default ({ test }) => {
  test("two tabs have a connection each", async ({ world }) => {
    const pages = [await world.page(), await world.page()];
    const ids = [];
    for (const page of pages) ids.push(await page.evaluate(connect, world.server.url));
    assert.ok(ids[0] && ids[1] && ids[0] !== ids[1], `the connections are ${ids.join(" and ")}`);
    await invoke(pages[0], "ToAll", "news", "for both");
    for (const page of pages)
      await page.waitForFunction(() => globalThis.news.length === 1, undefined, { polling: 20, timeout: 5_000 });
  });

  test("a tab that is reloaded or closed leaves no connection behind", async ({ world }) => {
    const [witness, page] = [await world.page(), await world.page()];
    await witness.evaluate(connect, world.server.url);
    const first = await page.evaluate(connect, world.server.url);
    await page.reload();
    await within("the end of the connection before the reload", ended(witness, first));
    const second = await page.evaluate(connect, world.server.url);
    assert.equal(await invoke(page, "Echo", 1), 1);
    await page.close();
    await within("the end of the connection of the closed tab", ended(witness, second));
  });

  test("a tab that was frozen while its connection was cut comes back", async ({ world }) => {
    const page = await world.page();
    await page.evaluate(connect, world.proxy.url);
    await world.freeze(page);
    await world.proxy.cut();
    await world.unfreeze(page);
    await within(
      "the new connection",
      page.evaluate(() => globalThis.reconnected),
    );
    assert.equal(await invoke(page, "Echo", 2), 2);
  });

  test("a page that comes out of the back/forward cache has a connection again", async ({ world }) => {
    const page = await world.page();
    await page.evaluate(connect, world.server.url);
    await page.evaluate(() => {
      addEventListener("pageshow", ({ persisted }) => (globalThis.restored = persisted));
      // Else it would still be the connection of before.
      globalThis.back = new Promise((resolve) => globalThis.connection.onreconnected(resolve));
    });
    await page.goto(`${world.origin}/test/page/?elsewhere`);
    await page.evaluate(() => void setTimeout(() => history.back()));
    await page.waitForFunction(() => !location.search, undefined, { polling: 20 });
    const restored = await page.evaluate(() => globalThis.restored === true);
    const why = await page.evaluate(() => JSON.stringify(performance.getEntriesByType("navigation")[0]?.notRestoredReasons));
    assert.ok(restored, `the page was loaded again, it does not come from the cache: ${why}`);
    // Chromium closes the socket of a page that it keeps; the page is told when it is back.
    await within("the new connection", page.evaluate(() => globalThis.back));
    assert.equal(await invoke(page, "Echo", 3), 3);
  });
};
