// What an application does with a client, written once for both packages. Each scenario notes what it sees, errors included;
// `lib` is one of the packages, `env` has the addresses and the controls. What differs by chance is noted without it.

/** An error as an application sees it. */
const errorOf = (error) => (error === undefined ? "no error" : error === null ? "null" : `${error.constructor === Object ? "object" : "error"}: ${error.message}`);

/** What a promise came to. */
const outcome = (promise) => promise.then((value) => `value ${JSON.stringify(value)}`, (error) => `rejected ${errorOf(error)}`);

const thrown = (action) => {
  try {
    return `returned ${typeof action()}`;
  } catch (error) {
    return `threw ${errorOf(error)}`;
  }
};

/** Fulfilled when `note` was called with a text that begins so. */
class Notes {
  all = [];
  #waiting = [];
  #marks = new Set();

  note = (text) => {
    this.all.push(text);
    this.mark(text);
  };

  /** Happened, without being part of what is compared. */
  mark(text) {
    this.#marks.add(text);
    this.#waiting = this.#waiting.filter(([begin, resolve]) => !(text.startsWith(begin) && (resolve(), true)));
  }

  until(begin) {
    if ([...this.#marks].some((text) => text.startsWith(begin))) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push([begin, resolve]));
  }
}

const connect = async (connection) => {
  await connection.start();
  return connection;
};

/** Notes the callbacks of a connection, and the state that they see. */
function watch(connection, { note }) {
  connection.onclose((error) => note(`onclose ${errorOf(error)} in ${connection.state}, id ${connection.connectionId}`));
  connection.onreconnecting((error) => note(`onreconnecting ${errorOf(error)} in ${connection.state}, id ${connection.connectionId}`));
  connection.onreconnected((id) => note(`onreconnected ${typeof id} in ${connection.state}, same id ${id === connection.connectionId}`));
}

/** Ends when the subscription does. */
const read = (stream, note, each = () => {}) =>
  new Promise((resolve) => {
    const end = (text) => {
      note(text);
      resolve();
    };
    const subscription = stream.subscribe({
      next: (item) => {
        note(`item ${JSON.stringify(item)}`);
        each(item, subscription);
      },
      complete: () => end("complete"),
      error: (error) => end(errorOf(error)),
    });
  });

export const scenarios = {
  async "start and stop"({ build }, notes) {
    const { note } = notes;
    const connection = build();
    watch(connection, notes);
    note(`${connection.state}, id ${connection.connectionId}`);
    const starting = connection.start();
    note(connection.state);
    note(await outcome(starting));
    note(`${connection.state}, id ${typeof connection.connectionId}`);
    note(await outcome(connection.start()));
    const stopping = connection.stop();
    note(connection.state);
    note(await outcome(stopping));
    note(`${connection.state}, id ${connection.connectionId}`);
    note(await outcome(connection.stop()));
    note(await outcome(connection.start()));
    note(await outcome(connection.invoke("Add", 1, 2)));
    await connection.stop();
  },

  async "a start while starting"({ build }, { note }) {
    const connection = build();
    const first = connection.start();
    note(await outcome(connection.start()));
    note(await outcome(first));
    await connection.stop();
  },

  async "values"({ build }, { note }) {
    const connection = await connect(build());
    const values = [
      null, true, 0, -1.5, 2 ** 53, "", "héllo ✓ 😀 \u0000 \u001e \"\\", [], {}, [1, [2, [3]]], { a: { b: null } },
      "x".repeat(10_000), [null, undefined], { a: undefined, b: 1 },
    ];
    for (const value of values) note(await outcome(connection.invoke("Echo", value)));
    note(await outcome(connection.invoke("Echo", undefined)));
    note(await outcome(connection.invoke("Echo", new Date(86_400_000))));
    note(await outcome(connection.invoke("Void", "x")));
    note(await outcome(connection.invoke("Add", 40, 2)));
    note(await outcome(connection.send("Void", "x")));
    await connection.stop();
  },

  async "errors of calls"({ build }, { note }) {
    const connection = await connect(build());
    for (const call of [
      ["ThrowHub", "my text"], ["Throw", "secret"], ["NoSuchMethod"], ["Add", 1], ["Add", 1, 2, 3], ["Add", "one", 2], ["Count", 3, 0],
    ])
      note(`${call[0]}: ${await outcome(connection.invoke(...call))}`);
    note(await outcome(connection.send("NoSuchMethod")));
    await connection.stop();
  },

  async "calls without a connection"({ build }, { note }) {
    const connection = build();
    note(await outcome(connection.invoke("Echo", 1)));
    note(await outcome(connection.send("Echo", 1)));
    await read(connection.stream("Count", 1, 0), note);
    await connection.start();
    await connection.stop();
    note(await outcome(connection.invoke("Echo", 1)));
  },

  async "handlers"({ build, lib }, notes) {
    const { note } = notes;
    const connection = await connect(build());
    const one = (value) => note(`one ${value}`);
    const fails = () => {
      throw new Error("of a handler");
    };
    connection.on("Event", one);
    connection.on("EVENT", one);
    connection.on("event", fails);
    connection.on("event", function (value) {
      note(`last ${value}`);
    });
    const push = async (value) => {
      await connection.invoke("ToCaller", "eVent", value);
    };
    await push(1);
    connection.off("event", one);
    await push(2);
    connection.on("event", one);
    await push(3);
    connection.off("EVENT");
    await push(4);
    connection.off("never");
    connection.on("event", one);
    await push(5);
    note(thrown(() => connection.on("", one)));
    note(thrown(() => connection.on("x", null)));
    note(thrown(() => connection.off("")));
    const three = new Promise((resolve) => connection.on("three", (...args) => resolve(args)));
    await connection.invoke("ToCallerThree", "three", 1, null, { a: 1 });
    note(JSON.stringify(await three));
    await connection.stop();
  },

  async "order"({ build }, { note }) {
    const connection = await connect(build());
    const got = [];
    connection.on("event", (n) => got.push(n));
    await connection.invoke("PushMany", "event", 500);
    note(`${got.length} in order ${got.every((n, i) => n === i)}`);
    const sent = Array.from({ length: 50 }, (_, i) => connection.send("Note", `order-${Math.random()}`, i));
    await Promise.all(sent);
    const key = `o-${Math.random()}`;
    for (let i = 0; i < 50; i++) void connection.send("Note", key, i);
    note(await outcome(connection.invoke("Noted", key)));
    await connection.stop();
  },

  async "results of handlers"({ build }, { note }) {
    const connection = await connect(build());
    connection.on("value", (value) => value);
    connection.on("later", async (value) => ({ value }));
    connection.on("nothing", () => {});
    connection.on("null", () => null);
    connection.on("throws", () => {
      throw new Error("thrown");
    });
    connection.on("throwsText", () => {
      throw "a text";
    });
    connection.on("rejects", async () => {
      throw new Error("rejected");
    });
    connection.on("two", () => 1);
    connection.on("two", () => 2);
    connection.on("oneOfTwo", () => {});
    connection.on("oneOfTwo", () => 2);
    for (const method of ["value", "later", "nothing", "null", "throws", "throwsText", "rejects", "two", "oneOfTwo", "missing"])
      note(`${method}: ${await outcome(connection.invoke("AskCaller", method, 7))}`);
    await connection.stop();
  },

  async "streams"({ build }, { note }) {
    const connection = await connect(build());
    await read(connection.stream("Count", 3, 0), note);
    await read(connection.stream("Count", 0, 0), note);
    await read(connection.stream("CountThenFail", 2, "no more"), note);
    await read(connection.stream("NoSuchMethod"), note);
    await read(connection.stream("Add", 1, 2), note);
    await connection.stop();
  },

  async "a stream that is disposed of"({ build }, notes) {
    const { note } = notes;
    const connection = await connect(build());
    const key = `d-${Math.random()}`;
    const subscription = connection.stream("Forever", key, 1).subscribe({
      next: (item) => {
        if (item === 2) {
          subscription.dispose();
          notes.mark("disposed");
        }
      },
      complete: () => note("complete"),
      error: (error) => note(errorOf(error)),
    });
    await notes.until("disposed");
    while (!(await connection.invoke("WasCancelled", key)));
    note("the server knows");
    await connection.stop();
  },

  async "uploads"({ build, lib }, { note }) {
    const connection = await connect(build());
    const sum = async (feed) => {
      const subject = new lib.Subject();
      const result = outcome(connection.invoke("Sum", subject));
      feed(subject);
      return result;
    };
    note(await sum((subject) => [1, 2, 3].forEach((n) => subject.next(n)) ?? subject.complete()));
    note(await sum((subject) => subject.complete()));
    note(await sum((subject) => subject.next(1) ?? subject.error(new Error("went wrong"))));
    note(await sum((subject) => subject.next("one") ?? subject.complete()));
    const words = new lib.Subject();
    const label = outcome(connection.invoke("Label", "words", words));
    ["a", "b"].forEach((word) => words.next(word));
    words.complete();
    note(await label);
    const numbers = new lib.Subject();
    const doubled = read(connection.stream("Double", numbers), note);
    numbers.next(21);
    numbers.complete();
    await doubled;
    await connection.stop();
  },

  async "a connection that is cut, without reconnecting"({ build, control }, notes) {
    const { note } = notes;
    const connection = await connect(build({ proxied: true }));
    watch(connection, notes);
    const calls = await hangingCalls(connection, notes);
    await control("proxy.cut");
    await notes.until("onclose");
    await calls.ended;
    note(connection.state);
    note(await outcome(connection.invoke("Echo", 1)));
    note(await startedAgain(connection));
    note(await outcome(connection.invoke("Echo", 2)));
    await connection.stop();
  },

  async "a connection that is cut, with reconnecting"({ build, control }, notes) {
    const { note } = notes;
    const connection = await connect(build({ proxied: true, configure: (builder) => builder.withAutomaticReconnect([0, 50, 50]) }));
    watch(connection, notes);
    const calls = await hangingCalls(connection, notes);
    await control("proxy.cut");
    await notes.until("onreconnected");
    await calls.ended;
    note(await outcome(connection.invoke("Echo", 1)));
    await connection.stop();
  },

  async "a server that stays away"({ build, control }, notes) {
    const { note } = notes;
    const contexts = [];
    const policy = {
      nextRetryDelayInMilliseconds(context) {
        contexts.push(context);
        note(`retry ${context.previousRetryCount}, elapsed ${typeof context.elapsedMilliseconds}, ${context.retryReason instanceof Error}`);
        return context.previousRetryCount < 3 ? 10 : null;
      },
    };
    const connection = await connect(build({ proxied: true, configure: (builder) => builder.withAutomaticReconnect(policy) }));
    watch(connection, notes);
    // Nothing is on its way any more.
    await connection.invoke("Echo", 1);
    await control("proxy.block");
    await notes.until("onclose");
    note(`first elapsed ${contexts[0].elapsedMilliseconds}, growing ${contexts.every((c, i) => i === 0 || c.elapsedMilliseconds >= contexts[i - 1].elapsedMilliseconds)}`);
    note(connection.state);
    await control("proxy.unblock");
    note(await startedAgain(connection));
    await connection.stop();
  },

  async "a stop while reconnecting"({ build, control }, notes) {
    const { note } = notes;
    const connection = await connect(build({ proxied: true, configure: (builder) => builder.withAutomaticReconnect([60_000]) }));
    watch(connection, notes);
    await control("proxy.cut");
    await notes.until("onreconnecting");
    note(await outcome(connection.invoke("Echo", 1)));
    note(await outcome(connection.stop()));
    note(connection.state);
  },

  async "a policy that throws"({ build, control }, notes) {
    const policy = {
      nextRetryDelayInMilliseconds() {
        throw new Error("of the policy");
      },
    };
    const connection = await connect(build({ proxied: true, configure: (builder) => builder.withAutomaticReconnect(policy) }));
    watch(connection, notes);
    await control("proxy.cut");
    await notes.until("onclose");
  },

  async "Close from the server"({ build }, notes) {
    const { note } = notes;
    for (const [allow, text] of [[false, ""], [false, "bye"], [true, ""], [true, "again"]]) {
      for (const reconnects of [false, true]) {
        note(`allow ${allow}, text '${text}', reconnects ${reconnects}`);
        const own = new Notes();
        own.note = ((add) => (line) => (add(line), note(line)))(own.note);
        const configure = (builder) => (reconnects ? builder.withAutomaticReconnect([0, 50]) : builder);
        const connection = await connect(build({ configure }));
        watch(connection, own);
        connection.send("CloseMe", allow, text);
        await own.until(allow && reconnects ? "onreconnected" : "onclose");
        await connection.stop();
      }
    }
  },

  async "a server that is silent"({ build, control }, notes) {
    const configure = (builder) => builder.withServerTimeout(1_500).withKeepAliveInterval(500);
    const connection = await connect(build({ proxied: true, configure }));
    notes.note(`${connection.serverTimeoutInMilliseconds} ${connection.keepAliveIntervalInMilliseconds}`);
    watch(connection, notes);
    await control("proxy.halfOpen");
    await notes.until("onclose");
  },

  async "negotiations that fail"({ build, url }, { note }) {
    const hide = (text) => text.replace(/127\.0\.0\.1:\d+/g, "HOST");
    note(hide(await outcome(build({ url: url.replace("/hubs/interop", "/nothing-here") }).start())));
    note(hide(await outcome(build({ url: url.replace(/:\d+/, ":59999") }).start())));
  },

  async "options that do not fit"({ build, lib }, { note }) {
    note(await outcome(build({ options: { skipNegotiation: true } }).start()));
    note(await outcome(build({ options: { skipNegotiation: true, transport: lib.HttpTransportType.LongPolling } }).start()));
    note(thrown(() => new lib.HubConnectionBuilder().build()));
    note(thrown(() => new lib.HubConnectionBuilder().withUrl(null)));
    note(thrown(() => new lib.HubConnectionBuilder().withUrl("")));
    note(thrown(() => new lib.HubConnectionBuilder().withUrl("  ")));
    note(thrown(() => new lib.HubConnectionBuilder().withHubProtocol(null)));
    note(thrown(() => new lib.HubConnectionBuilder().configureLogging(null)));
    note(thrown(() => new lib.HubConnectionBuilder().configureLogging("loud")));
    note(thrown(() => new lib.HubConnectionBuilder().withServerTimeout(null)));
    note(thrown(() => new lib.HubConnectionBuilder().withKeepAliveInterval(undefined)));
    note(thrown(() => new lib.HubConnectionBuilder().withAutomaticReconnect().withAutomaticReconnect()));
  },

  async "without negotiation"({ build, lib }, { note }) {
    const connection = await connect(build({ options: { skipNegotiation: true, transport: lib.HttpTransportType.WebSockets } }));
    note(`${connection.state}, id ${connection.connectionId}`);
    note(await outcome(connection.invoke("Echo", 1)));
    await connection.stop();
  },

  async "tokens"({ build, control }, { note }) {
    let asked = 0;
    const factory = (user) => async () => {
      asked += 1;
      return control("token", user);
    };
    const alice = await connect(build({ options: { accessTokenFactory: factory("alice") } }));
    note(await outcome(alice.invoke("UserId")));
    await alice.stop();
    note(`asked ${asked > 0}`);
    const nobody = await connect(build({ options: { accessTokenFactory: () => "" } }));
    note(await outcome(nobody.invoke("UserId")));
    await nobody.stop();
    const fails = build({
      options: {
        accessTokenFactory: () => {
          throw new Error("no token to be had");
        },
      },
    });
    note(await outcome(fails.start()));
    note(await outcome(build({ options: { accessTokenFactory: () => "not.a.token" } }).start()));
  },

  async "the address"({ build, url }, { note }) {
    const connection = build();
    note(`same ${connection.baseUrl === url}`);
    note(thrown(() => (connection.baseUrl = "")));
    connection.baseUrl = `${url}?changed=1`;
    await connection.start();
    note(thrown(() => (connection.baseUrl = url)));
    note(await outcome(connection.invoke("Echo", 1)));
    await connection.stop();
  },

  async "a stop in the middle of a start"({ build }, notes) {
    const { note } = notes;
    const connection = build();
    watch(connection, notes);
    const starting = outcome(connection.start());
    await connection.stop();
    note((await starting).replace(/:.*/, ": a text"));
    note(connection.state);
  },

  async "a stop while a call waits"({ build }, notes) {
    const connection = await connect(build());
    watch(connection, notes);
    const calls = await hangingCalls(connection, notes);
    await connection.stop();
    await calls.ended;
  },

  async "several callbacks"({ build }, { note }) {
    const connection = await connect(build());
    connection.onclose(() => note("first"));
    connection.onclose(() => note("second"));
    await connection.stop();
    await connection.start();
    await connection.stop();
  },
};

/** What a start comes to after an outage. The pool of Node's fetch gives connections away that died in it, once each. */
async function startedAgain(connection) {
  let started = await outcome(connection.start());
  for (let more = 0; more < 5 && started.startsWith("rejected"); more++) started = await outcome(connection.start());
  return started;
}

/** A call and a stream that the server does not end; their ends are noted, and `ended` is fulfilled then. */
async function hangingCalls(connection, notes) {
  const key = `h-${Math.random()}`;
  const running = new Promise((resolve) => {
    const stream = read(connection.stream("Forever", key, 5), (text) => {
      if (text.startsWith("item")) notes.mark("running");
      else notes.note(`stream ${text}`);
    });
    stream.then(resolve);
  });
  await notes.until("running");
  const upload = { subscribe: () => ({ dispose: () => {} }) };
  const call = outcome(connection.invoke("Sum", upload)).then((text) => notes.note(`call ${text}`));
  await connection.invoke("Echo", 1);
  return { ended: Promise.all([running, call]) };
}

/** Runs one scenario with one package: what it noted. */
export async function run({ library, name, transport, protocol, url, proxyUrl }, control) {
  const lib = await import(library === "hubwire" ? "/test/page/hubwire.js" : "/official/signalr.js");
  const messagePack = await import(library === "hubwire" ? "/dist/msgpack.js" : "/official/signalr-msgpack.js");
  const build = ({ url: own, proxied, options, configure = (builder) => builder } = {}) => {
    const builder = new lib.HubConnectionBuilder()
      .withUrl(own ?? (proxied ? proxyUrl : url), { transport: lib.HttpTransportType[transport], ...options })
      .configureLogging(lib.LogLevel.None);
    if (protocol === "messagepack") builder.withHubProtocol(new messagePack.MessagePackHubProtocol());
    return configure(builder).build();
  };
  const notes = new Notes();
  await scenarios[name]({ lib, build, url, control }, notes);
  return notes.all;
}
