// The controls do what they say, seen by the official client: else tests that rely on them would prove nothing.
import * as signalr from "/official/signalr.js";
import { assert, describe, Events, harness, test, within } from "/test/page/harness.js";

async function connected(defer, url, transport = signalr.HttpTransportType.WebSockets, options = {}) {
  const connection = new signalr.HubConnectionBuilder()
    .withUrl(url, { transport, ...options })
    .configureLogging(signalr.LogLevel.None)
    .build();
  defer(() => connection.stop());
  await connection.start();
  return connection;
}

describe("the harness", () => {
  for (const name of ["WebSockets", "ServerSentEvents", "LongPolling"]) {
    test(`reaches the server through the proxy by ${name}`, async ({ defer }) => {
      const connection = await connected(defer, harness.proxy.url, signalr.HttpTransportType[name]);
      assert.deepEqual(await connection.invoke("Echo", { text: "héllo", list: [1, null] }), {
        text: "héllo",
        list: [1, null],
      });
    });
  }

  test("makes tokens that the server takes", async ({ defer }) => {
    const accessTokenFactory = () => harness.token("alice");
    const connection = await connected(defer, harness.server.url, undefined, { accessTokenFactory });
    assert.equal(await connection.invoke("UserId"), "alice");
  });

  test("cuts, refuses, and lets through again", async ({ defer }) => {
    const connection = await connected(defer, harness.proxy.url);
    const closed = new Events();
    connection.onclose(() => closed.push("closed"));
    await harness.proxy.cut();
    await closed.next("the end of the connection");
    await harness.proxy.block();
    await assert.rejects(connected(defer, harness.proxy.url), /./);
    await harness.proxy.unblock();
    await connected(defer, harness.proxy.url);
    assert.ok((await harness.proxy.status()).connections.length > 0);
  });

  test("lets nothing through half-open connections", async ({ defer }) => {
    const connection = await connected(defer, harness.proxy.url);
    await harness.proxy.halfOpen();
    const answer = connection.invoke("Echo", 1);
    answer.catch(() => {});
    await assert.rejects(within("an answer", answer, 300), /not within/);
    await harness.proxy.unblock();
    assert.equal(await answer, 1);
  });

  test("kills the server and starts it where it was", async ({ defer }) => {
    const connection = await connected(defer, harness.server.url);
    const closed = new Events();
    connection.onclose(() => closed.push("closed"));
    await harness.server.kill();
    await closed.next("the end of the connection");
    await assert.rejects(connected(defer, harness.server.url), /./);
    await harness.server.restart();
    const next = await connected(defer, harness.server.url);
    assert.equal(await next.invoke("Echo", 2), 2);
  });

  test("takes the browser offline and back", async ({ defer }) => {
    const events = new Events();
    for (const type of ["online", "offline"]) {
      addEventListener(type, events.push);
      defer(() => removeEventListener(type, events.push));
    }
    await harness.offline(true);
    assert.equal((await events.next("the event offline")).type, "offline");
    assert.equal(navigator.onLine, false);
    await harness.offline(false);
    assert.equal((await events.next("the event online")).type, "online");
  });

  test("hides and shows the page", async ({ defer }) => {
    const events = new Events();
    const note = () => events.push(document.visibilityState);
    document.addEventListener("visibilitychange", note);
    defer(() => document.removeEventListener("visibilitychange", note));
    await harness.hide();
    await harness.show();
    await events.count(2, "both changes");
    assert.deepEqual(events.all, ["hidden", "visible"]);
  });

  test("freezes the page, and something happens meanwhile", async ({ defer }) => {
    const events = new Events();
    for (const type of ["freeze", "resume"]) {
      document.addEventListener(type, events.push);
      defer(() => document.removeEventListener(type, events.push));
    }
    const connection = await connected(defer, harness.proxy.url);
    connection.onclose(() => events.push({ type: "closed" }));
    const before = (await harness.proxy.status()).accepted;
    await harness.freeze(["proxy.cut"], ["server.restart"]);
    await events.count(3, "freeze, resume and the end of the connection");
    assert.deepEqual(
      events.all.map(({ type }) => type),
      ["freeze", "resume", "closed"],
    );
    assert.equal((await harness.proxy.status()).accepted, before);
  });

  test("opens, reloads and leaves other pages of the same origin", async () => {
    const other = await harness.newPage();
    localStorage.setItem("harness", "seen");
    assert.equal(await other.run((key) => localStorage.getItem(key), "harness"), "seen");
    await other.run(() => void (globalThis.mark = 1));
    await other.reload();
    assert.equal(await other.run(() => typeof globalThis.mark), "undefined");
    await other.run(() => addEventListener("pageshow", ({ persisted }) => (globalThis.restored = persisted)));
    await other.leave();
    assert.equal(await other.run(() => location.search), "?elsewhere");
    await other.back();
    assert.equal(await other.run(() => globalThis.restored), true, "from the back/forward cache");
    await other.close();
  });
});
