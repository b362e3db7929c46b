// What the example promises, seen from outside. A worker that is killed has had no chance to do anything about it.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { HubConnectionBuilder } from "@hubwire/node";
import { configureHub, TaskHubClient, taskHub } from "@hubwire/node/hubs";
import { Program } from "../dist/demo/program.js";
import { faultIn, stepsIn } from "../dist/demo/verdict.js";
import { World } from "../dist/demo/world.js";
import { workHub, WorkHubClient } from "../dist/work.js";

const WORKER = new URL("../dist/worker.js", import.meta.url);
const STEPS = 40;
/** Long enough to be killed in between. */
const STEP = "80";

export const tests = [];

/** A world with a worker that waits, and what to do with it. Everything in it ends with the test. */
function test(name, body) {
  const run = async (binary) => {
    const world = await World.start(binary);
    const programs = [];
    const started = (program) => (programs.push(program), program);
    const worker = () => started(world.worker("ann"));
    const idle = async () => {
      const first = worker();
      await first.until("being there", ({ event }) => event === "idle");
      return first;
    };
    try {
      await body({ world, worker, idle, started });
    } finally {
      await Promise.all(programs.map((program) => program.kill()));
      await world.killServer();
    }
  };
  tests.push({ name, run });
}

/** A task, and a watcher of it. */
async function task({ world, started }, steps = STEPS, milliseconds = STEP) {
  const publisher = started(world.publisher("--steps", String(steps), "--step-milliseconds", milliseconds));
  const { taskId } = await publisher.until("a task", ({ event }) => event === "created");
  assert.equal(await publisher.end(), 0);
  return { taskId, watcher: started(world.watcher(taskId)) };
}

const step = (program, number) => program.until(`step ${number}`, (entry) => entry.step >= number && entry.event !== "task");
const range = (to) => Array.from({ length: to }, (_, index) => index + 1);
/** What a watcher must see that has begun a little after the worker. */
const sinceFirst = ({ entries }, taskId) => range(STEPS).slice(stepsIn(entries, taskId)[0] - 1);
const stepsDone = ({ entries }) => entries.filter(({ event }) => event === "step").map(({ step }) => step);

/** A connection of the test itself. */
async function connect(world, hub, user, role) {
  const builder = new HubConnectionBuilder().withUrl(world.url + hub.path, { accessTokenFactory: () => world.token(user, role) });
  const connection = configureHub(builder.configureLogging("none").withResilience(), hub).build();
  await connection.start();
  return connection;
}

test("a worker that is killed in the middle of a task goes on behind its last report", async (given) => {
  const first = await given.idle();
  const { taskId, watcher } = await task(given);
  await step(watcher, 6);
  await first.kill();
  const second = given.worker();
  assert.equal(await watcher.end(), 0);
  assert.deepEqual(stepsIn(watcher.entries, taskId), sinceFirst(watcher, taskId), "every step, once and in order");
  assert.equal(faultIn(watcher.entries, taskId, STEPS), undefined);
  const both = [...stepsDone(first), ...stepsDone(second)];
  assert.equal(new Set(both).size, both.length, `what was reported is not done again: ${both}`);
  assert.equal(await second.terminate(), 0);
});

test("followers get what has changed, and see all of it", async (given) => {
  const worker = await given.idle();
  const connection = await connect(given.world, taskHub, "guest", "guest");
  try {
    const tasks = new TaskHubClient(connection);
    const [deltas, objects] = [[], []];
    connection.on("TaskProgressDelta", (delta) => deltas.push(delta));
    tasks.on("taskProgress", (progress) => objects.push(progress));
    const ended = new Promise((resolve) => tasks.on("taskCompleted", resolve));
    const { taskId } = await task(given, 12, "60");
    await tasks.subscribeToTask(taskId);
    assert.deepEqual((await ended).result, { frames: 12 * 24 });
    assert.equal(deltas.length, objects.length);
    const [first, ...rest] = deltas;
    assert.equal(first.framesTotal, 12 * 24, "the first one is all of it");
    assert.ok(rest.length > 5 && rest.every((delta) => !("framesTotal" in delta)), "what stays the same does not travel");
    assert.ok(objects.every(({ framesTotal }) => framesTotal === 12 * 24), "and is there all the same");
  } finally {
    await connection.stop();
  }
  assert.equal(await worker.terminate(), 0);
});

test("while the server is dead the worker works on, and the server has everything when it is back", async (given) => {
  const worker = await given.idle();
  const { taskId, watcher } = await task(given);
  await step(watcher, 5);
  await given.world.killServer();
  const { step: before } = worker.entries.findLast(({ event }) => event === "step");
  await step(worker, before + 4);
  await given.world.startServer();
  assert.equal(await watcher.end(), 0);
  assert.equal(faultIn(watcher.entries, taskId, STEPS), undefined);
  assert.deepEqual(stepsDone(worker), range(STEPS), "no step twice");
  assert.ok(!worker.entries.some(({ event }) => event === "refused"), "the server has missed none");
  assert.equal(await worker.terminate(), 0);
});

test("what a worker reported without a server outlives both", async (given) => {
  const first = await given.idle();
  const { taskId, watcher } = await task(given);
  await step(watcher, 4);
  await given.world.killServer();
  const { step: before } = first.entries.findLast(({ event }) => event === "step");
  await step(first, before + 4);
  await first.kill();
  const done = stepsDone(first);
  await given.world.startServer();
  const second = given.worker();
  const { reports } = await second.until("what is in the file", ({ event }) => event === "restored");
  assert.ok(reports >= 3, `${reports} reports`);
  const { from } = await second.until("the task", ({ event }) => event === "task");
  // The last one may be in the file and not in the log.
  assert.ok(from === done.length + 1 || from === done.length + 2, `after ${done} it goes on at ${from}`);
  assert.equal(await watcher.end(), 0);
  assert.equal(faultIn(watcher.entries, taskId, STEPS), undefined);
  assert.equal(await second.terminate(), 0);
});

test("SIGTERM ends a worker between two steps, with everything told", async (given) => {
  const first = await given.idle();
  const { taskId, watcher } = await task(given);
  await step(watcher, 3);
  assert.equal(await first.terminate(), 0);
  const { length } = stepsDone(first);
  const second = given.worker();
  assert.equal((await second.until("the task", ({ event }) => event === "task")).from, length + 1);
  assert.ok(!second.entries.some(({ event }) => event === "restored"), "nothing was left in the file");
  assert.equal(await watcher.end(), 0);
  assert.deepEqual(stepsIn(watcher.entries, taskId), sinceFirst(watcher, taskId));
});

test("without a server SIGTERM leaves the reports for the next start, and says so", async (given) => {
  const first = await given.idle();
  const { taskId, watcher } = await task(given);
  await step(watcher, 3);
  await given.world.killServer();
  await step(first, stepsDone(first).length + 2);
  assert.equal(await first.terminate(), 75);
  assert.ok(first.entries.some(({ event, reports }) => event === "later" && reports >= 1));
  await given.world.startServer();
  const second = given.worker();
  await second.until("what is in the file", ({ event }) => event === "restored");
  assert.equal(await watcher.end(), 0);
  assert.equal(faultIn(watcher.entries, taskId, STEPS), undefined);
  assert.equal(await second.terminate(), 0);
});

test("a program that lacks what it needs says so, and ends with 64", async ({ world, started }) => {
  const watcher = started(world.watcher());
  assert.equal(await watcher.end(), 64);
  assert.match(String(watcher.entries[0].error), /ids/);
  const settings = { ...process.env, TASKS_URL: "nowhere" };
  const worker = started(Program.start("the worker", process.execPath, [fileURLToPath(WORKER)], settings));
  assert.equal(await worker.end(), 64);
  assert.match(String(worker.entries[0].error), /TASKS_URL is no address: nowhere/);
});

test("roles say who may do what, and steps that are missing are refused", async ({ world }) => {
  const [ann, bob, boss] = await Promise.all([
    connect(world, workHub, "ann", "worker"),
    connect(world, workHub, "bob", "worker"),
    connect(world, workHub, "boss", "admin"),
  ]);
  const [one, other, admin] = [ann, bob, boss].map((connection) => new WorkHubClient(connection));
  try {
    await assert.rejects(connect(world, { path: workHub.path }, "eve", "guest"), /403|Forbidden/);
    await assert.rejects(one.createTask("mine", 1, "render", {}), { kind: "Refused" });
    await assert.rejects(one.announce("I am the boss"), { kind: "Refused" });
    await admin.createTask("a", 1, "render", { title: "a" });
    await admin.createTask("a", 1, "render", { title: "a" });
    await assert.rejects(admin.createTask("a", 2, "render", {}), /another task/);
    const { signal } = new AbortController();
    await assert.rejects(admin.takeTask(signal), { kind: "Refused" });
    assert.equal((await one.takeTask(signal)).taskId, "a");
    assert.equal((await one.takeTask(signal)).taskId, "a", "it is this worker's until it has ended");
    assert.equal(await other.takeTask(signal), null);
    const report = (work, number) => work.connection.invoke("ReportProgress", "a", { step: number, progressPercentage: 1 });
    await assert.rejects(report(other, 1), /no task of yours/);
    await report(one, 1);
    await report(one, 1);
    await assert.rejects(report(one, 3), /Step 3 comes after step 1/);
    await one.connection.invoke("CompleteTask", "a", null);
    await assert.rejects(report(one, 2), /comes after/);
  } finally {
    await Promise.all([ann, bob, boss].map((connection) => connection.stop()));
  }
});
