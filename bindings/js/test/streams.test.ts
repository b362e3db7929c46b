import assert from "node:assert/strict";
import { test } from "node:test";
import { HubError, type IStreamSubscriber } from "../src/index.js";
import { NETWORK, makeConnected, settle } from "./fake-backend.js";

const collect = () => {
  const seen: unknown[] = [];
  const subscriber: IStreamSubscriber<unknown> = {
    next: (item) => seen.push(item),
    error: (error) => seen.push(`error: ${error.message}`),
    complete: () => seen.push("complete"),
  };
  return { seen, subscriber };
};

test("a subscriber gets items as they come, and the end", async () => {
  const { connection, fake } = await makeConnected();
  const { seen, subscriber } = collect();
  connection.stream("Count", 2).subscribe(subscriber);
  assert.deepEqual(fake.calls[0], { id: 1, kind: "stream", target: "Count", args: [2], uploads: [], options: {} });
  fake.events.item(1, "a");
  assert.deepEqual(seen, ["a"]);
  fake.events.item(1, "b");
  fake.complete(1);
  assert.deepEqual(seen, ["a", "b", "complete"]);
  assert.deepEqual(fake.of("cancel"), []);
});

test("a subscriber gets the error", async () => {
  const { connection, fake } = await makeConnected();
  const { seen, subscriber } = collect();
  connection.stream("Count").subscribe(subscriber);
  fake.fail(1, NETWORK);
  fake.events.item(1, "late");
  assert.deepEqual(seen, [`error: ${NETWORK.text}`]);
});

test("what came before the first subscriber waits for it, and is told after subscribe has returned", async () => {
  const { connection, fake } = await makeConnected();
  const stream = connection.stream("Count");
  fake.events.item(1, 1);
  fake.events.item(1, 2);
  const { seen, subscriber } = collect();
  stream.subscribe(subscriber);
  fake.events.item(1, 3);
  assert.deepEqual(seen, []);
  await settle();
  fake.events.item(1, 4);
  fake.complete(1);
  assert.deepEqual(seen, [1, 2, 3, 4, "complete"]);
  const late = collect();
  stream.subscribe(late.subscriber);
  await settle();
  assert.deepEqual(late.seen, ["complete"]);
  assert.equal(seen.length, 5);
});

test("a subscriber that throws is logged and stops nobody", async () => {
  const { connection, fake, log } = await makeConnected();
  const stream = connection.stream("Count");
  stream.subscribe({
    next() {
      throw new Error("evil");
    },
    error() {},
    complete() {},
  });
  const { seen, subscriber } = collect();
  stream.subscribe(subscriber);
  fake.events.item(1, 1);
  assert.deepEqual(seen, [1]);
  assert.deepEqual(log.lines, ["4 Stream callback threw error: Error: evil"]);
});

test("disposing the last subscription cancels on the server, once", async () => {
  const { connection, fake } = await makeConnected();
  const stream = connection.stream("Count");
  const [first, second] = [collect(), collect()];
  const subscriptions = [stream.subscribe(first.subscriber), stream.subscribe(second.subscriber)];
  subscriptions[0]?.dispose();
  assert.deepEqual(fake.of("cancel"), []);
  fake.events.item(1, 1);
  subscriptions[1]?.dispose();
  subscriptions[1]?.dispose();
  assert.deepEqual(fake.of("cancel"), [[1]]);
  fake.events.item(1, 2);
  fake.fail(1, { kind: "Cancelled", text: "The call was cancelled." });
  assert.deepEqual([first.seen, second.seen], [[], [1]]);
  assert.equal(connection.pendingCalls, 0);
});

test("disposing after the end, or while waiting items are told, does what it should", async () => {
  const { connection, fake } = await makeConnected();
  const ended = connection.stream("A").subscribe(collect().subscriber);
  fake.complete(1);
  ended.dispose();
  assert.deepEqual(fake.of("cancel"), []);

  const stream = connection.stream("B");
  for (let item = 0; item < 3; item++) {
    fake.events.item(2, item);
  }
  const seen: unknown[] = [];
  const subscription = stream.subscribe({
    next(item) {
      seen.push(item);
      subscription.dispose();
    },
    error() {},
    complete() {},
  });
  await settle();
  assert.deepEqual(seen, [0]);
  assert.deepEqual(fake.of("cancel"), [[2]]);
});

test("for await reads the items, those that came before included", async () => {
  const { connection, fake } = await makeConnected();
  const stream = connection.stream<number>("Count");
  fake.events.item(1, 1);
  const seen: number[] = [];
  const reading = (async () => {
    for await (const item of stream) {
      seen.push(item);
    }
  })();
  await settle();
  assert.deepEqual(seen, [1]);
  fake.events.item(1, 2);
  fake.events.item(1, 3);
  fake.complete(1);
  await reading;
  assert.deepEqual(seen, [1, 2, 3]);
});

test("for await throws the error behind the items before it", async () => {
  const { connection, fake } = await makeConnected();
  const iterator = connection.stream("Count")[Symbol.asyncIterator]();
  fake.events.item(1, 1);
  fake.fail(1, NETWORK);
  assert.deepEqual(await iterator.next(), { done: false, value: 1 });
  await assert.rejects(iterator.next(), { message: NETWORK.text });
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
});

test("leaving the loop cancels on the server", async () => {
  const { connection, fake } = await makeConnected();
  fake.onCall = ({ id }) => [1, 2, 3].forEach((item) => fake.events.item(id, item));
  for await (const item of connection.stream("Count")) {
    if (item === 2) {
      break;
    }
  }
  assert.deepEqual(fake.of("cancel"), [[1]]);
});

test("return ends a next that waits", async () => {
  const { connection, fake } = await makeConnected();
  const iterator = connection.stream("Count")[Symbol.asyncIterator]();
  const waiting = [iterator.next(), iterator.next()];
  await iterator.return?.();
  assert.deepEqual(await Promise.all(waiting), [
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
  assert.deepEqual(fake.of("cancel"), [[1]]);
});

test("more items than fit fail the stream, and cancel it on the server", async () => {
  const { connection, fake } = await makeConnected();
  const stream = connection.stream("Flood");
  for (let item = 0; item < 10_001; item++) {
    fake.events.item(1, item);
  }
  assert.deepEqual(fake.of("cancel"), [[1]]);
  const iterator = stream[Symbol.asyncIterator]();
  for (let item = 0; item < 10_000; item++) {
    assert.equal((await iterator.next()).value, item);
  }
  await assert.rejects(iterator.next(), (error) => error instanceof HubError && error.kind === "Overflow");
});

test("the room can be chosen, and a flood within the call is noticed, too", async () => {
  const { connection, fake } = await makeConnected();
  fake.onCall = ({ id }) => [1, 2, 3].forEach((item) => fake.events.item(id, item));
  const iterator = connection.streamCall("Flood", ["x"], { bufferSize: 2, timeout: 5 })[Symbol.asyncIterator]();
  assert.deepEqual(fake.calls[0]?.options, { timeout: 5 });
  assert.deepEqual(fake.of("cancel"), [[1]]);
  assert.equal((await iterator.next()).value, 1);
  assert.equal((await iterator.next()).value, 2);
  await assert.rejects(iterator.next(), { kind: "Overflow" });
});

test("a loop and a subscriber may read the same stream", async () => {
  const { connection, fake } = await makeConnected();
  const stream = connection.stream("Count");
  const iterator = stream[Symbol.asyncIterator]();
  const { seen, subscriber } = collect();
  const subscription = stream.subscribe(subscriber);
  fake.events.item(1, 1);
  subscription.dispose();
  assert.deepEqual(fake.of("cancel"), [], "the loop still reads");
  fake.events.item(1, 2);
  fake.complete(1);
  assert.deepEqual(seen, [1]);
  assert.deepEqual([(await iterator.next()).value, (await iterator.next()).value], [1, 2]);
});
