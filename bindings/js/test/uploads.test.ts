import assert from "node:assert/strict";
import { test } from "node:test";
import { Subject } from "../src/index.js";
import { NETWORK, makeConnected, settle } from "./fake-backend.js";

const of = async function* <T>(...items: T[]) {
  yield* items;
};

test("subjects and async iterables among the arguments become uploads, also next to each other", async () => {
  const { connection, fake } = await makeConnected();
  void connection.invoke("Mix", "a", new Subject<number>(), of(1), "b", [1], new Subject<number>());
  assert.deepEqual(fake.calls[0]?.args, ["a", "b", [1]]);
  assert.deepEqual([fake.calls[0]?.id, fake.calls[0]?.uploads], [1, [2, 3, 4]]);
  void connection.send("Next");
  assert.equal(fake.calls[1]?.id, 5);
});

test("the arguments of the caller stay as they are", async () => {
  const { connection } = await makeConnected();
  const args = [new Subject<number>(), 1];
  void connection.call("Sum", args);
  assert.equal(args.length, 2);
});

test("a subject tells its subscribers, until they dispose", () => {
  const subject = new Subject<number>();
  const seen: unknown[] = [];
  const subscribe = (name: string) =>
    subject.subscribe({
      next: (item) => seen.push([name, item]),
      error: (error) => seen.push([name, error]),
      complete: () => seen.push([name, "complete"]),
    });
  const first = subscribe("first");
  subscribe("second");
  subject.next(1);
  first.dispose();
  subject.error("no");
  subject.complete();
  assert.deepEqual(seen, [
    ["first", 1],
    ["second", 1],
    ["second", "no"],
    ["second", "complete"],
  ]);
});

test("items of a subject wait until the call was sent, then leave at once", async () => {
  const { connection, fake } = await makeConnected();
  const subject = new Subject<number>();
  void connection.invoke("Sum", subject);
  subject.next(1);
  subject.next(2);
  assert.deepEqual(fake.of("uploadItem"), []);
  fake.events.uploadStarted(2);
  subject.next(3);
  subject.complete();
  subject.next(4);
  assert.deepEqual(fake.of("uploadItem"), [
    [2, 1],
    [2, 2],
    [2, 3],
  ]);
  assert.deepEqual(fake.of("uploadEnd"), [[2, undefined]]);
});

test("a subject that ended before the call was sent ends behind its items", async () => {
  const { connection, fake } = await makeConnected();
  const subject = new Subject<number>();
  void connection.invoke("Sum", subject);
  subject.next(1);
  subject.error(new Error("boom"));
  subject.complete();
  fake.events.uploadStarted(2);
  assert.deepEqual(fake.commands.slice(-2), [
    ["uploadItem", 2, 1],
    ["uploadEnd", 2, "boom"],
  ]);
});

test("errors of sources are told as their text", async () => {
  const { connection, fake } = await makeConnected();
  for (const error of [new Error("message"), "text", undefined]) {
    const subject = new Subject<number>();
    void connection.send("Sum", subject);
    fake.events.uploadStarted(fake.calls.at(-1)?.uploads[0] ?? 0);
    subject.error(error);
  }
  assert.deepEqual(
    fake.of("uploadEnd").map(([, error]) => error),
    ["message", "text", "Unknown error"],
  );
});

test("more items than fit before the call is sent end the upload with an error", async () => {
  const { connection, fake } = await makeConnected();
  const subject = new Subject<number>();
  void connection.invoke("Sum", subject);
  for (let item = 0; item <= 10_000; item++) {
    subject.next(item);
  }
  fake.events.uploadStarted(2);
  assert.equal(fake.of("uploadItem").length, 10_000);
  assert.deepEqual(fake.of("uploadEnd"), [[2, "More than 10000 items of an upload wait for their call to be sent."]]);
});

test("an item that cannot be encoded ends the upload, for both kinds of sources", async () => {
  const { connection, fake } = await makeConnected();
  const subject = new Subject<unknown>();
  let returned = 0;
  const iterable = (async function* () {
    try {
      yield 1n;
    } finally {
      returned++;
    }
  })();
  void connection.invoke("Sum", subject, iterable);
  fake.encodingError = new TypeError("circular");
  fake.events.uploadStarted(2);
  fake.events.uploadStarted(3);
  subject.next({});
  subject.next({});
  await settle();
  assert.deepEqual(fake.of("uploadEnd"), [
    [2, "circular"],
    [3, "circular"],
  ]);
  assert.equal(returned, 1);
});

test("an async iterable is asked for nothing before the call was sent", async () => {
  const { connection, fake } = await makeConnected();
  let asked = 0;
  const source = (async function* () {
    for (;;) {
      asked++;
      yield asked;
      if (asked === 3) {
        return;
      }
    }
  })();
  void connection.invoke("Sum", source);
  await settle();
  assert.equal(asked, 0);
  fake.events.uploadStarted(2);
  await settle();
  assert.deepEqual(fake.of("uploadItem"), [
    [2, 1],
    [2, 2],
    [2, 3],
  ]);
  assert.deepEqual(fake.of("uploadEnd"), [[2, undefined]]);
});

test("the next item is asked for when there is room for it", async () => {
  const { connection, fake } = await makeConnected();
  let room!: () => void;
  fake.uploadItem = (upload, item) => {
    fake.commands.push(["uploadItem", upload, item]);
    return new Promise<void>((resolve) => (room = resolve));
  };
  void connection.invoke("Sum", of(1, 2));
  fake.events.uploadStarted(2);
  await settle();
  assert.deepEqual(fake.of("uploadItem"), [[2, 1]]);
  room();
  await settle();
  assert.deepEqual(fake.of("uploadItem"), [
    [2, 1],
    [2, 2],
  ]);
});

test("an async iterable that throws ends the upload with its text", async () => {
  const { connection, fake } = await makeConnected();
  const source = (async function* () {
    yield 1;
    throw new Error("source");
  })();
  void connection.send("Sum", source);
  fake.events.uploadStarted(2);
  await settle();
  assert.deepEqual(fake.of("uploadEnd"), [[2, "source"]]);
});

test("an upload that nobody reads any more is let go", async () => {
  const { connection, fake } = await makeConnected();
  let disposed = 0;
  const observable = { subscribe: () => ({ unsubscribe: () => disposed++ }) };
  let returned = 0;
  const iterable = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<never>(() => {}),
      return: async () => {
        returned++;
        throw new Error("nobody hears that");
      },
    }),
  };
  void connection.invoke("Sum", observable, iterable);
  fake.events.uploadStarted(2);
  fake.events.uploadStarted(3);
  fake.events.uploadStopped(2);
  fake.events.uploadStopped(3);
  await settle();
  assert.deepEqual([disposed, returned], [1, 1]);
  assert.deepEqual(fake.of("uploadEnd"), []);
});

test("an item that comes after nobody reads the upload any more is not sent", async () => {
  const { connection, fake } = await makeConnected();
  let give!: (result: IteratorResult<number>) => void;
  const iterable = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<number>>((resolve) => (give = resolve)) }),
  };
  void connection.invoke("Sum", iterable);
  fake.events.uploadStarted(2);
  fake.events.uploadStopped(2);
  give({ done: false, value: 1 });
  await settle();
  assert.deepEqual(fake.of("uploadItem"), []);
});

test("uploads end with their call, but go on behind one that was only sent", async () => {
  const { connection, fake } = await makeConnected();
  const [invoked, sent, failed] = [new Subject<number>(), new Subject<number>(), new Subject<number>()];
  const invoke = connection.invoke("Sum", invoked);
  void connection.send("Sum", sent);
  const fail = connection.send("Sum", failed);
  [2, 4, 6].forEach((upload) => fake.events.uploadStarted(upload));
  fake.complete(1, 0);
  fake.complete(3);
  fake.fail(5, NETWORK);
  await assert.rejects(fail);
  await invoke;
  [invoked, sent, failed].forEach((subject) => subject.next(1));
  assert.deepEqual(fake.of("uploadItem"), [[4, 1]]);
});

test("a source that ends while it is subscribed to, or fails to be, does no harm", async () => {
  const { connection, fake } = await makeConnected();
  let disposed = 0;
  const sync = {
    subscribe(observer: { next(item: number): void; complete(): void }) {
      observer.next(1);
      observer.complete();
      return { dispose: () => disposed++ };
    },
  };
  void connection.send("Sum", sync);
  fake.events.uploadStarted(2);
  assert.deepEqual(fake.commands.slice(-2), [
    ["uploadItem", 2, 1],
    ["uploadEnd", 2, undefined],
  ]);
  assert.equal(disposed, 1);
  const broken = {
    subscribe() {
      throw new Error("cannot subscribe");
    },
  };
  await assert.rejects(connection.send("Sum", broken), { message: "cannot subscribe" });
  assert.equal(fake.calls.length, 1);
});
