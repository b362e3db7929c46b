import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { HttpTransportType, LogLevel, NullLogger, RetryPolicies, type RetryContext } from "../src/index.js";
import { HubConnectionBuilder, Log, NETWORK, PROTOCOL, make } from "./fake-backend.js";

afterEach(() => mock.restoreAll());

const configOf = (configure?: (builder: HubConnectionBuilder) => unknown) => make(configure).fake.config;

test("the defaults are SignalR's: no retry, no outbox; and nothing undefined crosses the border", () => {
  assert.deepEqual(configOf(), {
    url: "http://host/hub",
    protocol: PROTOCOL,
    outbox: { maxItems: 0 },
    serverTimeout: 30_000,
    keepAliveInterval: 15_000,
    hasTokenFactory: false,
    retry: { type: "never" },
    retryFirstStart: false,
    http: { withCredentials: true, timeout: 100_000 },
  });
});

test("arguments are checked with SignalR's texts", () => {
  const builder = new HubConnectionBuilder();
  const nothing = undefined as never;
  assert.throws(
    () => builder.build(),
    new Error("The 'HubConnectionBuilder.withUrl' method must be called before building the connection."),
  );
  assert.throws(() => builder.withUrl(nothing), new Error("The 'url' argument is required."));
  assert.throws(() => builder.withUrl(" \t"), new Error("The 'url' argument should not be empty."));
  assert.throws(() => builder.withHubProtocol(nothing), new Error("The 'protocol' argument is required."));
  assert.throws(() => builder.configureLogging(nothing), new Error("The 'logging' argument is required."));
  assert.throws(() => builder.configureLogging("loud"), new Error("Unknown log level: loud"));
  assert.throws(() => builder.withServerTimeout(nothing), new Error("The 'milliseconds' argument is required."));
  assert.throws(() => builder.withKeepAliveInterval(nothing), new Error("The 'milliseconds' argument is required."));
  assert.throws(
    () => builder.withAutomaticReconnect().withAutomaticReconnect(),
    new Error("A reconnectPolicy has already been set."),
  );
  assert.throws(
    () => builder.withUrl("http://x/", { withCredentials: "yes" as never }).build(),
    new Error("withCredentials option was not a 'boolean' or 'undefined' value"),
  );
  assert.throws(() => builder.withUrl("http://x/", { withCredentials: true, transport: {} as never }).build(), {
    kind: "Misuse",
  });
});

test("transports, by flags or among the options, which add up over calls", () => {
  const transports = (value: HttpTransportType) => configOf((b) => b.withUrl("http://h/", value)).transports;
  assert.deepEqual(transports(HttpTransportType.WebSockets | HttpTransportType.LongPolling), [
    "WebSockets",
    "LongPolling",
  ]);
  assert.deepEqual(transports(HttpTransportType.ServerSentEvents), ["ServerSentEvents"]);
  assert.equal(transports(HttpTransportType.None), undefined);
  const config = configOf((builder) =>
    builder
      .withUrl("http://h/", { headers: { a: "b" }, skipNegotiation: true, withCredentials: false, timeout: 5 })
      .withUrl("http://h/", HttpTransportType.WebSockets),
  );
  assert.deepEqual(config.http, { headers: { a: "b" }, withCredentials: false, timeout: 5 });
  assert.equal(config.skipNegotiation, true);
  assert.deepEqual(config.transports, ["WebSockets"]);
});

test("every form of withAutomaticReconnect", () => {
  const retryOf = (...args: Parameters<HubConnectionBuilder["withAutomaticReconnect"]>) => {
    const { retry, retryFirstStart, retryJitter, maxRetries } = configOf((b) => b.withAutomaticReconnect(...args));
    return [retry, retryFirstStart, retryJitter, maxRetries];
  };
  const table = (...delays: number[]) => ({ type: "table", delays });
  assert.deepEqual(retryOf(), [table(0, 2_000, 10_000, 30_000), false, undefined, undefined]);
  assert.deepEqual(retryOf([5, 6]), [table(5, 6), false, undefined, undefined]);
  assert.deepEqual(retryOf([]), [table(), false, undefined, undefined]);
  assert.deepEqual(retryOf([1, null as never, 2])[0], table(1));
  assert.deepEqual(retryOf(RetryPolicies.signalr())[0], table(0, 2_000, 10_000, 30_000));
  assert.deepEqual(retryOf(RetryPolicies.ailydian())[0], table(0, 2_000, 10_000, 30_000, 60_000));
  assert.deepEqual(retryOf(RetryPolicies.conduit())[0], { type: "conduit" });
  const jitter = { type: "fullJitter", base: 1_000, cap: 30_000 };
  assert.deepEqual(retryOf(RetryPolicies.fullJitter()), [jitter, true, undefined, undefined]);
  const options = { firstStart: false, maxRetries: 3 };
  assert.deepEqual(retryOf(RetryPolicies.fullJitter({ cap: 9 }), options), [
    { ...jitter, cap: 9 },
    false,
    undefined,
    3,
  ]);
  assert.deepEqual(retryOf([1], { jitter: true, firstStart: true }), [table(1), true, true, undefined]);
  assert.deepEqual(retryOf({ nextRetryDelayInMilliseconds: () => 0 })[0], { type: "custom" });
});

test("a policy of the application is asked, and one that throws gives up", () => {
  const asked: RetryContext[] = [];
  const answers: (number | null | undefined)[] = [5, null, undefined];
  const policy = {
    nextRetryDelayInMilliseconds(context: RetryContext) {
      assert.equal(this, policy);
      asked.push(context);
      if (!answers.length) {
        throw new Error("policy");
      }
      return answers.shift() as number | null;
    },
  };
  const { fake, log } = make((builder) => builder.withAutomaticReconnect(policy));
  const question = { previousRetryCount: 1, elapsed: 20, reason: NETWORK };
  assert.deepEqual(
    [1, 2, 3, 4].map(() => fake.events.retryDelay(question)),
    [5, null, null, null],
  );
  const [{ retryReason, ...rest }] = asked as [RetryContext];
  assert.deepEqual(rest, { previousRetryCount: 1, elapsedMilliseconds: 20 });
  assert.equal(retryReason.message, NETWORK.text);
  assert.deepEqual(log.lines, ["4 IRetryPolicy.nextRetryDelayInMilliseconds(1, 20) threw error 'Error: policy'."]);
});

test("withResilience sets what is not set otherwise, in whatever order", () => {
  const resilient = configOf((builder) => builder.withResilience());
  assert.deepEqual(resilient.retry, { type: "fullJitter", base: 1_000, cap: 30_000 });
  assert.deepEqual([resilient.retryFirstStart, resilient.outbox], [true, {}]);
  const mixed = configOf((builder) => builder.withOutbox({ maxItems: 5 }).withResilience().withAutomaticReconnect([1]));
  assert.deepEqual([mixed.retry, mixed.outbox], [{ type: "table", delays: [1] }, { maxItems: 5 }]);
});

test("everything of ours reaches the core", () => {
  const config = configOf((builder) =>
    builder
      .withOutbox({ maxItems: 1, maxBytes: 2, whenFull: "dropOldest", window: 3, store: "calls" })
      .withDelivery({ acks: "manual" })
      .withJoins([{ join: "Join", leave: "Leave" }])
      .withCallTimeout(4)
      .withQuality({ pingMethod: "Ping" })
      .withSession("me")
      .withPositions(["e/1/group:g"])
      .withTokenRefresh()
      .withHubwireExtensions(false)
      .withHandshakeTimeout(5)
      .withMaxMessageSize(6)
      .withServerTimeout(7)
      .withKeepAliveInterval(8)
      .withStatefulReconnect(),
  );
  const { url: _url, protocol: _protocol, http: _http, retry: _retry, retryFirstStart: _first, ...rest } = config;
  assert.deepEqual(rest, {
    outbox: { maxItems: 1, maxBytes: 2, whenFull: "dropOldest", window: 3 },
    store: "calls",
    delivery: { acks: "manual" },
    joins: [{ join: "Join", leave: "Leave" }],
    callTimeout: 4,
    pingMethod: "Ping",
    sessionId: "me",
    positions: ["e/1/group:g"],
    tokenRefresh: true,
    announce: false,
    handshakeTimeout: 5,
    maxMessageSize: 6,
    serverTimeout: 7,
    keepAliveInterval: 8,
    statefulReconnect: 100_000,
    hasTokenFactory: false,
  });
  assert.equal(configOf((b) => b.withStatefulReconnect({ bufferSize: 9 })).statefulReconnect, 9);
});

test("timeouts of the builder are those of the connection", () => {
  const { connection } = make((builder) => builder.withServerTimeout(1).withKeepAliveInterval(2));
  assert.deepEqual([connection.serverTimeoutInMilliseconds, connection.keepAliveIntervalInMilliseconds], [1, 2]);
});

test("the token factory is asked by the core, and what it throws is a rejection", async () => {
  let answer: () => string | Promise<string> = () => "token";
  const { fake } = make((builder) => builder.withUrl("http://h/", { accessTokenFactory: () => answer() }));
  assert.equal(fake.config.hasTokenFactory, true);
  assert.equal(await fake.events.token(), "token");
  answer = async () => "later";
  assert.equal(await fake.events.token(), "later");
  answer = () => {
    throw new Error("no token");
  };
  await assert.rejects(Promise.resolve(fake.events.token()), { message: "no token" });
});

test("one builder makes several connections", () => {
  const builder = new HubConnectionBuilder().withUrl("http://h/a");
  builder.build();
  builder.withUrl("http://h/b").build();
  assert.deepEqual(
    builder.fake.connections.map(({ config }) => config.url),
    ["http://h/a", "http://h/b"],
  );
});

test("relative addresses are those of the page or the worker, and nobody's elsewhere", () => {
  const urlOf = (url: string) => configOf((builder) => builder.withUrl(url)).url;
  assert.throws(() => urlOf("/hub"), new Error("Cannot resolve '/hub'."));
  const globals = globalThis as { document?: unknown; location?: unknown };
  try {
    globals.document = { baseURI: "https://page/app/index.html" };
    assert.deepEqual(["hub", "/hub", "//other/hub", "http://a/ b"].map(urlOf), [
      "https://page/app/hub",
      "https://page/hub",
      "https://other/hub",
      "http://a/ b",
    ]);
    delete globals.document;
    globals.location = { href: "https://worker/js/worker.js" };
    assert.equal(urlOf("/hub"), "https://worker/hub");
  } finally {
    delete globals.document;
    delete globals.location;
  }
});

test("log messages of the core go where configureLogging says", () => {
  const lines: string[] = [];
  for (const method of ["log", "info", "warn", "error"] as const) {
    mock.method(console, method, (line: string) => lines.push(`${method} ${line.replace(/^\[[^\]]*\] /, "")}`));
  }
  const logWith = (configure: (builder: HubConnectionBuilder) => unknown) => {
    const builder = new HubConnectionBuilder().withUrl("http://h/");
    configure(builder);
    builder.build();
    [0, 1, 2, 3, 4, 5].forEach((level) => builder.fake.connections[0]?.events.log(level, "text"));
    return lines.splice(0);
  };
  const above = ["info Information: text", "warn Warning: text", "error Error: text", "error Critical: text"];
  assert.deepEqual(
    logWith(() => {}),
    above,
  );
  assert.deepEqual(
    logWith((b) => b.configureLogging("Trace")),
    ["log Trace: text", "log Debug: text", ...above],
  );
  assert.deepEqual(
    logWith((b) => b.configureLogging(LogLevel.Warning)),
    above.slice(1),
  );
  assert.deepEqual(
    logWith((b) => b.configureLogging("none")),
    [],
  );
  assert.deepEqual(
    logWith((b) => b.configureLogging(NullLogger.instance)),
    [],
  );
  assert.deepEqual(
    logWith((b) => b.withUrl("http://h/", { logger: LogLevel.Critical })),
    above.slice(3),
  );
  assert.deepEqual(
    logWith((b) => b.withUrl("http://h/", { logger: null as never })),
    [],
  );
  const log = new Log();
  assert.deepEqual(
    logWith((b) => b.withUrl("http://h/", { logger: LogLevel.Trace }).configureLogging(log)),
    [],
  );
  assert.equal(log.lines.length, 6);
});
