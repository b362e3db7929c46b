import assert from "node:assert/strict";
import { test } from "node:test";
import { make, settle } from "./fake-backend.js";

test("handlers get the arguments, in the order of registration, with the connection as this", () => {
  const { connection, fake } = make();
  const calls: unknown[] = [];
  connection.on("Receive", function (this: unknown, ...args) {
    calls.push([this === connection, "first", ...args]);
  });
  connection.on("Receive", (...args) => calls.push(["second", ...args]));
  fake.message("Receive", [1, "two"]);
  assert.deepEqual(calls, [
    [true, "first", 1, "two"],
    ["second", 1, "two"],
  ]);
});

test("the case of names does not matter, however often it varies", () => {
  const { connection, fake } = make();
  let calls = 0;
  connection.on("receiveMESSAGE", () => calls++);
  const spell = (bits: number) =>
    [..."receivemessage"].map((letter, index) => (bits & (1 << index) ? letter.toUpperCase() : letter)).join("");
  for (let bits = 0; bits < 2_500; bits++) {
    fake.message(spell(bits), []);
  }
  assert.equal(calls, 2_500);
});

test("spellings are not collected without end", () => {
  const { connection, fake } = make();
  connection.on("a".repeat(64), () => {});
  const collect = globalThis.gc ?? assert.fail("the tests run with --expose-gc");
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let number = 0; number < 100_000; number++) {
    const bits = number.toString(2).padStart(64, "0");
    fake.message(bits.replaceAll("0", "a").replaceAll("1", "A"), []);
  }
  collect();
  assert.ok(process.memoryUsage().heapUsed - before < 1_000_000);
  assert.ok(connection.isListening, "it is still there");
});

test("a function registered twice is called once; another registration of the name counts anew after off", () => {
  const { connection, fake } = make();
  const calls: string[] = [];
  const handler = () => calls.push("handler");
  connection.on("x", handler);
  connection.on("X", handler);
  fake.message("x", []);
  assert.deepEqual(calls, ["handler"]);
  connection.off("X", handler);
  fake.message("x", []);
  connection.on("x", () => calls.push("other"));
  fake.message("x", []);
  assert.deepEqual(calls, ["handler", "other"]);
});

test("off with a name removes all, off of a function only that", () => {
  const { connection, fake } = make();
  const calls: string[] = [];
  const first = () => calls.push("first");
  connection.on("x", first);
  connection.on("x", () => calls.push("second"));
  connection.off("x", () => {});
  connection.off("x", first);
  fake.message("x", []);
  connection.off("x");
  fake.message("x", []);
  assert.deepEqual(calls, ["second"]);
  assert.equal(connection.isListening, false);
});

test("handlers that change the handlers do so for the next message", () => {
  const { connection, fake } = make();
  const calls: string[] = [];
  const once = () => {
    calls.push("once");
    connection.off("x", once);
    connection.on("x", () => calls.push("late"));
  };
  connection.on("x", once);
  connection.on("x", () => calls.push("always"));
  fake.message("x", []);
  assert.deepEqual(calls, ["once", "always"]);
  fake.message("x", []);
  assert.deepEqual(calls, ["once", "always", "always", "late"]);
});

test("a handler that throws, or whose promise is rejected, is logged and stops nobody", async () => {
  const { connection, fake, log } = make();
  let called = 0;
  connection.on("Evil", () => {
    throw new Error("sync");
  });
  connection.on("Evil", async () => {
    throw new Error("async");
  });
  connection.on("Evil", () => {
    throw Object.create(null);
  });
  connection.on("Evil", () => called++);
  fake.message("Evil", []);
  assert.equal(called, 1);
  await settle();
  assert.deepEqual(log.lines, [
    "4 A callback for the method 'evil' threw error 'Error: sync'.",
    "4 A callback for the method 'evil' threw error 'Unknown error'.",
    "4 A callback for the method 'evil' threw error 'Error: async'.",
  ]);
});

test("a message without a handler is logged, but not the changes of objects", () => {
  const { fake, log } = make();
  fake.message("Nobody", []);
  fake.message("NobodyDelta", []);
  assert.deepEqual(log.lines, ["3 No client method with the name 'nobody' found."]);
});

const answerOf = async (...handlers: ((...args: any[]) => unknown)[]) => {
  const { connection, fake } = make();
  handlers.forEach((handler) => connection.on("Ask", handler));
  fake.message("Ask", [20], { reply: 7 });
  await settle();
  const replies = fake.of("reply");
  assert.equal(replies.length, 1);
  assert.equal(replies[0]?.[0], 7);
  return replies[0]?.[1];
};

test("results of handlers answer the server", async () => {
  assert.deepEqual(await answerOf((n) => n + 1), { type: "value", value: 21 });
  assert.deepEqual(await answerOf(async (n) => n + 2), { type: "value", value: 22 });
  assert.deepEqual(await answerOf(() => null), { type: "value", value: null });
  assert.deepEqual(await answerOf(() => 0), { type: "value", value: 0 });
  assert.deepEqual(
    await answerOf(
      () => {},
      () => 5,
    ),
    { type: "value", value: 5 },
  );
});

test("no result, several results and failures are answered as what they are", async () => {
  assert.deepEqual(await answerOf(), { type: "noHandler" });
  assert.deepEqual(await answerOf(() => {}), { type: "noHandler" });
  assert.deepEqual(
    await answerOf(
      () => 1,
      () => 2,
    ),
    { type: "manyHandlers" },
  );
  const error = { type: "error", text: "Error: from callback" };
  assert.deepEqual(
    await answerOf(() => {
      throw new Error("from callback");
    }),
    error,
  );
  assert.deepEqual(await answerOf(() => Promise.reject(new Error("from callback"))), error);
});

test("a result counts more than a failure before it, and a failure more than a result before it", async () => {
  const fail = () => {
    throw new Error("no");
  };
  assert.deepEqual(await answerOf(fail, () => 1), { type: "value", value: 1 });
  assert.deepEqual(await answerOf(() => 1, fail), { type: "error", text: "Error: no" });
});

test("a result that cannot be encoded is answered with why", async () => {
  const { connection, fake } = make();
  connection.on("Ask", () => 1n);
  const reply = fake.reply.bind(fake);
  fake.reply = (id, answer) => {
    if (answer.type === "value") {
      throw new TypeError("no BigInt");
    }
    reply(id, answer);
  };
  fake.message("Ask", [], { reply: 1 });
  await settle();
  assert.deepEqual(fake.of("reply"), [[1, { type: "error", text: "TypeError: no BigInt" }]]);
});

const handledOf = async (...handlers: ((...args: any[]) => unknown)[]) => {
  const { connection, fake } = make();
  handlers.forEach((handler) => connection.on("Task", handler));
  fake.message("Task", [], { delivery: 3 });
  const early = fake.of("handled").length;
  await settle();
  assert.deepEqual(fake.of("handled").length, 1);
  return [early, ...(fake.of("handled")[0] ?? [])];
};

test("a delivery is handled at once when no handler is asynchronous", async () => {
  assert.deepEqual(
    await handledOf(
      () => {},
      () => 1,
    ),
    [1, 3, undefined],
  );
});

test("a delivery is handled when the last asynchronous handler has ended", async () => {
  const { connection, fake } = make();
  const ends: (() => void)[] = [];
  connection.on("Task", () => new Promise<void>((resolve) => ends.push(resolve)));
  connection.on("Task", () => new Promise<void>((resolve) => ends.push(resolve)));
  fake.message("Task", [], { delivery: 3 });
  ends[1]?.();
  await settle();
  assert.deepEqual(fake.of("handled"), []);
  ends[0]?.();
  await settle();
  assert.deepEqual(fake.of("handled"), [[3, undefined]]);
});

test("a delivery that failed says the first reason", async () => {
  const first = () => {
    throw new Error("first");
  };
  const second = async () => {
    throw new Error("second");
  };
  assert.deepEqual(await handledOf(() => {}, first, second), [0, 3, "first"]);
  assert.deepEqual(await handledOf(first, () => assert.fail("later")), [1, 3, "first"]);
  assert.deepEqual(await handledOf(second), [0, 3, "second"]);
  assert.deepEqual(await handledOf(first), [1, 3, "first"]);
  assert.deepEqual(await handledOf(), [1, 3, "No handler is registered for 'Task'."]);
});

test("a handler may call the connection, and be called again meanwhile", () => {
  const { connection, fake } = make();
  const depth: number[] = [];
  let current = 0;
  fake.onCall = () => fake.message("Again", [depth.length]);
  connection.on("Again", (count) => {
    depth.push(++current);
    if (count < 3) {
      void connection.send("More");
    }
    current--;
  });
  fake.message("Again", [0]);
  assert.deepEqual(depth, [1, 2, 3, 4]);
});

test("what a handler gives may throw for whoever looks at it", async () => {
  const { connection, fake } = make();
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const calls: string[] = [];
  connection.on("x", () => proxy);
  connection.on("x", () => ({
    get then() {
      throw new Error("of a getter");
    },
  }));
  connection.on("x", () => calls.push("last"));
  fake.message("x", []);
  fake.message("x", [], { reply: 7 });
  await settle();
  assert.deepEqual(calls, ["last", "last"]);
  assert.deepEqual(fake.of("reply"), [[7, { type: "value", value: 2 }]]);
});
