import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { AbortError, HubError, TimeoutError } from "../src/index.js";
import { CANCELLED, NETWORK, make, makeConnected, settle } from "./fake-backend.js";

test("invoke is fulfilled with the result, and each call has its own id from 1", async () => {
  const { connection, fake } = await makeConnected();
  const first = connection.invoke<number>("Add", 1, 2);
  const second = connection.invoke("Void");
  assert.deepEqual(fake.calls, [
    { id: 1, kind: "invoke", target: "Add", args: [1, 2], uploads: [], options: undefined },
    { id: 2, kind: "invoke", target: "Void", args: [], uploads: [], options: undefined },
  ]);
  fake.complete(2);
  fake.complete(1, 3);
  assert.equal(await first, 3);
  assert.equal(await second, undefined);
  assert.equal(connection.pendingCalls, 0);
});

test("invoke is rejected with the text of the server, and errors say their kind", async () => {
  const { connection, fake } = await makeConnected();
  const calls = [connection.invoke("A"), connection.invoke("B"), connection.invoke("C")];
  fake.fail(1, { kind: "Refused", text: "An unexpected error occurred." });
  fake.fail(2, { kind: "Timeout", text: "late" });
  fake.fail(3, CANCELLED);
  await assert.rejects(calls[0]!, (error) => error instanceof HubError && error.kind === "Refused");
  await assert.rejects(calls[0]!, { message: "An unexpected error occurred." });
  await assert.rejects(calls[1]!, (error) => error instanceof TimeoutError && error.kind === "Timeout");
  await assert.rejects(calls[2]!, (error) => error instanceof AbortError && error.name === "AbortError");
});

test("send is fulfilled when the core says so", async () => {
  const { connection, fake } = await makeConnected();
  const send = connection.send("Notify", "x");
  assert.equal(fake.calls[0]?.kind, "send");
  fake.complete(1);
  assert.equal(await send, undefined);
});

test("a call may end while it is being made", async () => {
  const { connection, fake } = make();
  const text = "Cannot send data if the connection is not in the 'Connected' State.";
  fake.onCall = ({ id }) => fake.fail(id, { kind: "Misuse", text });
  await assert.rejects(connection.invoke("A"), { message: text });
  await assert.rejects(connection.send("A"), { message: text });
  const errors: unknown[] = [];
  connection.stream("A").subscribe({ next() {}, complete() {}, error: (error) => errors.push(error.message) });
  await settle();
  assert.deepEqual(errors, [text]);
  assert.equal(connection.pendingCalls, 0);
});

test("what cannot be encoded rejects with the error of the encoding, and nothing is left", async () => {
  const { connection, fake } = await makeConnected();
  fake.encodingError = new TypeError("circular");
  await assert.rejects(connection.invoke("A"), fake.encodingError);
  await assert.rejects(connection.send("A"), fake.encodingError);
  await assert.rejects(connection.call("A"), fake.encodingError);
  assert.throws(() => connection.stream("A"), fake.encodingError);
  assert.equal(connection.pendingCalls, 0);
});

test("options of a call reach the core, without those that are ours", async () => {
  const { connection, fake } = await makeConnected();
  const options = {
    timeout: 10,
    expiresAfter: 20,
    priority: "high",
    supersedeKey: "k",
    idempotent: true,
    durable: true,
    queue: false,
  } as const;
  const call = connection.call("Save", ["x"], { ...options, kind: "send", signal: new AbortController().signal });
  assert.equal(fake.calls[0]?.kind, "send");
  assert.deepEqual(fake.calls[0]?.options, options);
  fake.complete(1);
  await call;
});

test("accepted: at once with a connection, from the queue without, with the end at the latest", async () => {
  const { connection, fake } = make();
  const order: string[] = [];
  const watch = (name: string, accepted: Promise<void>) =>
    accepted.then(
      () => order.push(name),
      (error: Error) => order.push(`${name}: ${error.message}`),
    );
  void watch("queued", connection.call("A").accepted);
  const refused = connection.call("B");
  void watch("refused", refused.accepted);
  await settle();
  assert.deepEqual(order, []);
  fake.events.queued(1);
  fake.fail(2, { kind: "Overflow", text: "full" });
  await assert.rejects(refused, { message: "full" });
  assert.deepEqual(order, ["queued", "refused: full"]);

  void connection.start();
  fake.connected();
  void watch("sent", connection.call("C").accepted);
  void watch("durable", connection.call("D", [], { durable: true }).accepted);
  await settle();
  assert.deepEqual(order.slice(2), ["sent"]);
  fake.events.queued(4);
  await settle();
  assert.deepEqual(order.slice(2), ["sent", "durable"]);
});

test("one that was refused while it was made is not accepted", async () => {
  const { connection, fake } = await makeConnected();
  fake.onCall = ({ id }) => fake.fail(id, { kind: "Overflow", text: "full" });
  const call = connection.call("A");
  await assert.rejects(call.accepted, { message: "full" });
  await assert.rejects(call, { message: "full" });
});

test("cancel asks the core once the call is there, and not any more when it has ended", async () => {
  const { connection, fake } = await makeConnected();
  const call = connection.call("A");
  call.cancel();
  assert.deepEqual(fake.of("cancel"), [[1]]);
  fake.fail(1, CANCELLED);
  await assert.rejects(call, AbortError);
  call.cancel();
  assert.equal(fake.of("cancel").length, 1);
});

test("a signal cancels, and its reason is the cause", async () => {
  const { connection, fake } = await makeConnected();
  const controller = new AbortController();
  const call = connection.call("A", [], { signal: controller.signal });
  controller.abort("changed my mind");
  assert.deepEqual(fake.of("cancel"), [[1]]);
  fake.fail(1, CANCELLED);
  await assert.rejects(call, { name: "AbortError", kind: "Cancelled", cause: "changed my mind" });
});

test("a signal that was aborted before keeps the call from being made", async () => {
  const { connection, fake } = await makeConnected();
  const signal = AbortSignal.abort("before");
  const call = connection.call("A", [], { signal });
  await assert.rejects(call, { name: "AbortError", cause: "before" });
  await assert.rejects(call.accepted, AbortError);
  call.cancel();
  const stream = connection.streamCall("S", [], { signal });
  await assert.rejects(stream[Symbol.asyncIterator]().next(), { name: "AbortError", cause: "before" });
  assert.deepEqual(fake.calls, []);
  assert.deepEqual(fake.of("cancel"), []);
});

test("a call lets go of its signal when it ends", async () => {
  const { connection, fake } = await makeConnected();
  const { signal } = new AbortController();
  const call = connection.call("A", [], { signal });
  const stream = connection.streamCall("S", [], { signal });
  assert.equal(getEventListeners(signal, "abort").length, 2);
  fake.complete(1);
  fake.complete(2);
  await call;
  assert.equal((await stream[Symbol.asyncIterator]().next()).done, true);
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("an error that is not the signal's has no cause of it", async () => {
  const { connection, fake } = await makeConnected();
  const controller = new AbortController();
  const call = connection.call("A", [], { signal: controller.signal });
  controller.abort();
  fake.fail(1, NETWORK);
  await assert.rejects(call, (error: HubError) => error.kind === "Network" && error.cause === undefined);
});

test("ends and items of calls that are over are ignored", async () => {
  const { connection, fake } = await makeConnected();
  const call = connection.invoke("A");
  fake.complete(1, "first");
  fake.complete(1, "second");
  fake.events.item(1, "item");
  fake.events.queued(1);
  fake.events.uploadStarted(9);
  fake.events.uploadStopped(9);
  assert.equal(await call, "first");
});
