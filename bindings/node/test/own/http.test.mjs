// What the server sees of headers and tokens, on every request of every transport.
import { HttpTransportType, HubConnectionBuilder, HubError, LogLevel } from "@hubwire/node";
import { assert, describe, harness, test, within } from "../lib/harness.mjs";
import { serve, text } from "../lib/raw-server.mjs";

const TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"];

const build = (url, options = {}) => new HubConnectionBuilder().withUrl(url, options).configureLogging(LogLevel.None).build();

/** Answers calls with their first argument. */
function echo(client, data) {
  if (!data) return;
  for (const part of data.toString().split("\u001e").filter(Boolean)) {
    const { type, invocationId, arguments: args } = JSON.parse(part);
    if (type === 1 && invocationId) client.send(text({ type: 3, invocationId, result: args[0] }));
  }
}

describe("headers", () => {
  for (const transport of TRANSPORTS) {
    test(`are on every request over ${transport}`, async ({ defer }) => {
      const server = await serve(echo);
      defer(server.stop);
      const connection = build(server.url, {
        transport: HttpTransportType[transport],
        headers: { "X-Test": "one", authorization: "Custom secret", Cookie: "a=b", "user-agent": "mine/1" },
      });
      await connection.start();
      assert.equal(await connection.invoke("Echo", 1), 1);
      await connection.stop();
      const kinds = new Set(server.requests.map(({ kind }) => kind));
      assert.ok(kinds.has("negotiate") && kinds.has(transport), [...kinds].join());
      if (transport !== "WebSockets") assert.ok(kinds.has("send"), [...kinds].join());
      for (const { kind, headers } of server.requests) {
        const seen = [headers["x-test"], headers.authorization, headers.cookie, headers["user-agent"]];
        assert.deepEqual(seen, ["one", "Custom secret", "a=b", "mine/1"], kind);
      }
    });

    test(`have the token on every request over ${transport}, and not the address`, async ({ defer }) => {
      const server = await serve(echo);
      defer(server.stop);
      const connection = build(server.url, { transport: HttpTransportType[transport], accessTokenFactory: () => "the-token" });
      await connection.start();
      await connection.invoke("Echo", 1);
      await connection.stop();
      for (const { kind, headers, query } of server.requests) {
        assert.deepEqual([headers.authorization, query.get("access_token")], ["Bearer the-token", null], kind);
      }
    });
  }

  for (const [what, headers] of [
    ["a name with a space", { "a b": "x" }],
    ["an empty name", { "": "x" }],
    ["a value with a line feed", { a: "x\r\nInjected: y" }],
    ["a lone surrogate in a value", { a: "\ud800" }],
    ["a lone surrogate in a name", { "\udc00": "x" }],
    ["a zero in a value", { a: "\u0000" }],
  ]) {
    test(`${what} is refused`, () => {
      const error = thrownBy(() => build(harness.server.url, { headers }));
      assert.ok(error instanceof HubError, String(error));
      assert.equal(error.kind, "Misuse");
    });
  }

  test("may be numbers, and anything that has a text", async ({ defer }) => {
    const server = await serve(echo);
    defer(server.stop);
    const connection = build(server.url, { headers: { n: 1, b: true, d: new URL("http://a.b/") } });
    await connection.start();
    await connection.stop();
    const { n, b, d } = server.requests[0].headers;
    assert.deepEqual([n, b, d], ["1", "true", "http://a.b/"]);
  });
});

function thrownBy(action) {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("token factories", () => {
  for (const [what, factory, pattern] of [
    ["throws", () => { throw new Error("no token today"); }, /no token today/],
    ["rejects", () => Promise.reject(new Error("no token today")), /no token today/],
    ["rejects with nothing", () => Promise.reject(), /undefined/],
    ["throws what has no text", () => { throw Object.create(null); }, /Unknown error/],
    ["returns a number", () => 7, /not a string/],
    ["returns an object", async () => ({ token: "x" }), /not a string/],
    ["returns a symbol", () => Symbol("x"), /not a string/],
    ["returns a bigint", () => 1n, /not a string/],
    ["returns what no header can have", () => "a\nb", /no header can have/],
    ["returns a lone surrogate", () => "\ud800", /no header can have/],
  ]) {
    test(`that ${what}: the start is refused, and the next one may succeed`, async ({ defer }) => {
      let isGood = false;
      const accessTokenFactory = () => (isGood ? harness.token("alice") : factory());
      const connection = build(harness.server.url, { accessTokenFactory });
      defer(() => connection.stop());
      const error = await assert.rejects(within("the refusal", connection.start()), pattern);
      assert.ok(error instanceof HubError, String(error));
      assert.equal(connection.state, "Disconnected");
      isGood = true;
      await connection.start();
      assert.equal(await connection.invoke("UserId"), "alice");
    });
  }

  for (const value of [undefined, null, ""]) {
    test(`that gives ${JSON.stringify(value) ?? "undefined"}: there is no token`, async ({ defer }) => {
      const connection = build(harness.server.url, { accessTokenFactory: () => value });
      defer(() => connection.stop());
      await connection.start();
      assert.equal(await connection.invoke("UserId"), null);
    });
  }

  test("that never answers does not keep a stop from its end", async () => {
    let asked;
    const isAsked = new Promise((resolve) => (asked = resolve));
    const connection = build(harness.server.url, { accessTokenFactory: () => (asked(), new Promise(() => {})) });
    const started = connection.start();
    started.catch(() => {});
    await within("the question", isAsked);
    await within("the stop", connection.stop());
    await assert.rejects(started, /stopped before it could be started/);
  });
});

describe("what the application cannot give in Node", () => {
  for (const [name, value] of Object.entries({ httpClient: {}, WebSocket: class {}, EventSource: class {} })) {
    test(`${name} is refused by name`, () => {
      const error = thrownBy(() => build(harness.server.url, { [name]: value }));
      assert.equal(error?.kind, "Misuse");
      assert.match(error.message, new RegExp(name));
    });
  }
});
