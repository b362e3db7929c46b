// How connections reach their servers: through proxies, and over TLS with certificates of one's own.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { fileURLToPath } from "node:url";
import * as hubwire from "@hubwire/node";
import { assert, describe, harness, test } from "../lib/harness.mjs";
import { runWith } from "../lib/processes.mjs";

const { HttpTransportType, HubConnectionBuilder, HubError, HubManager, LogLevel } = hubwire;
const TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"];
const folder = fileURLToPath(new URL("certificates/", import.meta.url));
const pem = (name) => readFileSync(`${folder}${name}.pem`, "utf8");
const { host, port, pathname } = new URL(harness.server.url);

/** What listens, on a free port; it ends with the test, with everything that is open. */
async function listen(server, defer) {
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket.once("close", () => sockets.delete(socket)).on("error", () => {})));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  defer(() => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return server.address().port;
}

/** A proxy for tunnels: `asked` are the servers that it was asked for, with what came as credentials. */
async function proxy(defer, { status = 200 } = {}) {
  const asked = [];
  const server = createServer().on("connect", ({ url, headers }, client, head) => {
    asked.push(`${url} ${headers["proxy-authorization"] ?? "-"}`);
    if (status !== 200) return client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
    const [host, port] = url.split(":");
    const upstream = connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    upstream.on("error", () => client.destroy());
    client.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
  });
  return { port: await listen(server, defer), asked };
}

/** The interop server behind TLS, with a certificate that nobody knows. */
async function secure(defer) {
  const server = createTlsServer({ key: pem("server-key"), cert: pem("server") }, (client) => {
    const upstream = connect(Number(port), "127.0.0.1");
    client.pipe(upstream).pipe(client);
    client.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
    upstream.on("error", () => client.destroy()).on("close", () => client.destroy());
  });
  return `https://localhost:${await listen(server, defer)}${pathname}`;
}

const build = (url, options) => new HubConnectionBuilder().withUrl(url, options).configureLogging(LogLevel.None).build();

async function works(url, options, defer) {
  const connection = build(url, options);
  defer(() => connection.stop());
  await connection.start();
  assert.equal(await connection.invoke("Add", 20, 22), 42);
}

describe("a proxy", () => {
  for (const name of TRANSPORTS) {
    test(`carries everything of ${name}`, async ({ defer }) => {
      const { port, asked } = await proxy(defer);
      await works(harness.server.url, { transport: HttpTransportType[name], proxy: `http://user:p%40ss@127.0.0.1:${port}` }, defer);
      assert.equal(asked.length > 0, true);
      assert.deepEqual([...new Set(asked)], [`${host} Basic ${btoa("user:p@ss")}`]);
    });
  }

  test("that refuses is named, without its password", async ({ defer }) => {
    const { port } = await proxy(defer, { status: 407 });
    const connection = build(harness.server.url, { proxy: `http://user:secret@127.0.0.1:${port}` });
    const error = await connection.start().catch((error) => error);
    assert.equal(error instanceof HubError, true);
    assert.equal(error.message.includes(`127.0.0.1:${port} refused the connection to ${host}: status 407`), true, error.message);
    assert.equal(error.message.includes("secret"), false);
  });

  test("may be one for all hubs of a manager", async ({ defer }) => {
    const { port, asked } = await proxy(defer);
    const manager = new HubManager(new URL(harness.server.url).origin, {
      http: { proxy: `http://127.0.0.1:${port}` },
      configure: (builder) => builder.configureLogging(LogLevel.None),
    });
    defer(() => manager.disconnectAll());
    const hub = { path: pathname };
    await manager.connect(hub);
    assert.equal(await manager.hub(hub).invoke("Echo", "x"), "x");
    assert.equal(asked.length > 0, true);
  });

  test("comes from the environment, but for whom it is not meant, and not for connections that want none", async ({ defer }) => {
    const { port, asked } = await proxy(defer);
    const run = (environment, options) =>
      runWith({ NO_PROXY: "", no_proxy: "", ...environment }, async ({ HubConnectionBuilder, LogLevel }, { url, options }) => {
        const connection = new HubConnectionBuilder().withUrl(url, options).configureLogging(LogLevel.None).build();
        await connection.start();
        console.log(await connection.invoke("Add", 1, 2));
        await connection.stop();
      }, { url: harness.server.url, options });
    const HTTP_PROXY = `http://127.0.0.1:${port}`;
    for (const [environment, options, goesThrough] of [
      [{ HTTP_PROXY }, {}, true],
      [{ HTTP_PROXY, NO_PROXY: "127.0.0.0/8" }, {}, false],
      [{ HTTP_PROXY }, { proxy: false }, false],
    ]) {
      asked.length = 0;
      const { lines, errors } = await run(environment, options);
      assert.deepEqual({ lines, errors, goesThrough: asked.length > 0 }, { lines: ["3"], errors: "", goesThrough });
    }
  }, { timeout: 60_000 });

  for (const [proxy, text] of [
    ["socks5://127.0.0.1:1080", "'socks5'"],
    ["http://user:secret@", "invalid"],
    ["", "'proxy'"],
    [true, "'proxy'"],
    [3128, "'proxy'"],
  ]) {
    test(`cannot be ${JSON.stringify(proxy)}`, () => {
      const error = assert.throws(() => build(harness.server.url, { proxy }));
      assert.deepEqual([error.kind, error.message.includes(text), error.message.includes("secret")], ["Misuse", true, false], error.message);
    });
  }
});

describe("TLS", () => {
  for (const name of TRANSPORTS) {
    test(`with a certificate of one's own, over ${name}`, async ({ defer }) => {
      const url = await secure(defer);
      await works(url, { transport: HttpTransportType[name], ca: pem("root") }, defer);
      await works(url, { transport: HttpTransportType[name], ca: [readFileSync(`${folder}root.pem`)] }, defer);
    });
  }

  test("refuses a certificate that nobody knows", async ({ defer }) => {
    const error = await build(await secure(defer), {}).start().catch((error) => error);
    assert.equal(error.message.includes("UnknownIssuer"), true, error.message);
  });

  test("through a proxy", async ({ defer }) => {
    const { port, asked } = await proxy(defer);
    const url = await secure(defer);
    await works(url, { ca: pem("root"), proxy: `http://127.0.0.1:${port}` }, defer);
    assert.deepEqual([...new Set(asked)], [`${new URL(url).host} -`]);
  });

  test("knows what NODE_EXTRA_CA_CERTS names", async ({ defer }) => {
    const url = await secure(defer);
    const { lines, errors } = await runWith({ NODE_EXTRA_CA_CERTS: `${folder}root.pem` }, async ({ HubConnectionBuilder, LogLevel }, url) => {
      const connection = new HubConnectionBuilder().withUrl(url).configureLogging(LogLevel.None).build();
      await connection.start();
      console.log(await connection.invoke("Add", 1, 2));
      await connection.stop();
    }, url);
    assert.deepEqual({ lines, errors }, { lines: ["3"], errors: "" });
  });

  for (const [ca, text] of [
    ["not a certificate", "certificate"],
    [7, "'ca'"],
    [[{}], "'ca'"],
  ]) {
    test(`has no use for ${JSON.stringify(ca)}`, () => {
      const error = assert.throws(() => build("https://localhost:1/hub", { ca }));
      assert.deepEqual([error.kind, error.message.includes(text)], ["Misuse", true], error.message);
    });
  }
});
