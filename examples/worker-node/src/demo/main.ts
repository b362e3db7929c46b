/**
 * All of it in some seconds: a worker and the server are killed in the middle of a task, and nothing is lost.
 * `node demo/main.js [--server PROGRAM]`; it ends by itself, and says `demo: ok`.
 */
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { faultIn, stepsIn } from "./verdict.js";
import { World } from "./world.js";

const STEPS = 30;
const BUILT = fileURLToPath(new URL("../../../../target/debug/worker-node-server", import.meta.url));

const { values } = parseArgs({ options: { server: { type: "string", default: BUILT } } });
const say = (text: string): void => console.log(`demo: ${text}`);

try {
  const world = await World.start(values.server);
  say(`the server listens on ${world.url}`);
  let worker = world.worker("ann");
  await worker.until("being there", ({ event }) => event === "idle");
  const publisher = world.publisher("--tasks", "1", "--steps", String(STEPS), "--step-milliseconds", "100", "--announce", "Good morning");
  const { taskId } = await publisher.until("a task", ({ event }) => event === "created");
  await publisher.end();
  say(`the publisher has announced something and made the task ${String(taskId)}`);
  const watcher = world.watcher(String(taskId));
  await worker.until("the announcement", ({ event, text }) => event === "announcement" && text === "Good morning");

  await watcher.until("step 8", ({ step }) => Number(step) >= 8);
  await worker.kill();
  say("the worker was killed at step 8");
  worker = world.worker("ann");
  const { from } = await worker.until("the task", ({ event }) => event === "task");
  say(`another one goes on at step ${String(from)}`);

  await watcher.until("step 16", ({ step }) => Number(step) >= 16);
  await world.killServer();
  say("the server was killed at step 16; the worker works on");
  await worker.until("work without a server", ({ step }) => Number(step) >= 20);
  await worker.kill();
  say("the worker was killed, too: what it has reported is in its file");
  await world.startServer();
  worker = world.worker("ann");
  const { reports } = await worker.until("its file", ({ event }) => event === "restored");
  say(`both are back: ${String(reports)} reports leave the file`);

  await watcher.end();
  const exit = await worker.terminate();
  say(`the watcher saw the steps ${stepsIn(watcher.entries, String(taskId)).join(" ")}`);
  const fault = faultIn(watcher.entries, String(taskId), STEPS) ?? (exit === 0 ? undefined : `the worker ended with ${exit}`);
  if (fault) throw new Error(fault);
  say("ok");
  process.exit(0);
} catch (error) {
  console.error(`demo: failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
