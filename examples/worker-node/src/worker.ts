/** Takes tasks, does them, and says how far they are. */
import { once } from "node:events";
import { builderFor } from "./builder.js";
import { job } from "./job.js";
import { log, textOf } from "./log.js";
import { Reports } from "./reports.js";
import { EXIT, outboxFile } from "./settings.js";
import { workHub, WorkHubClient, type Task } from "./work.js";

/** How long a stop waits for reports. What has not left then, leaves with the next start. */
const GOODBYE = 10_000;

async function main(): Promise<number> {
  const connection = builderFor(workHub).withOutbox({ store: outboxFile() }).build();
  const work = new WorkHubClient(connection);

  let exit: number = EXIT.done;
  const stopping = new AbortController();
  const { signal } = stopping;
  const fail = (error: unknown): void => {
    if (signal.aborted) return;
    log("failed", { error: textOf(error) });
    exit = EXIT.failed;
    stopping.abort();
  };
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    // Only the first: who asks again gets what signals do by themselves.
    process.once(name, () => {
      log("stopping", { signal: name });
      stopping.abort();
    });
  }

  const bell = new EventTarget();
  const ring = (): boolean => bell.dispatchEvent(new Event("ring"));
  work.on("taskAvailable", ring);
  work.on("announcement", ({ text, from }) => log("announcement", { text, from }));
  connection.onStateChanged(({ to, cause }) => {
    log("state", { state: to, cause: cause.type });
    // Tasks may have come meanwhile.
    if (to === "Connected") ring();
  });
  connection.onEvent("storeFailed", ({ error }) => fail(error));

  // A report that is refused means that the server and this worker do not agree: better to stop than to go on.
  const reports = new Reports(connection, fail);
  try {
    // Before anything else: what the server says of a task counts what an earlier process has reported.
    await reports.restore();
    connection.start().catch(fail);
    work.followAnnouncements().catch(fail);
    while (!signal.aborted) {
      const rings = once(bell, "ring", { signal });
      rings.catch(() => {});
      const task = await work.takeTask(signal);
      if (task) {
        await doTask(task, work, reports, signal);
      } else {
        log("idle");
        await rings;
      }
    }
  } catch (error) {
    // What was aborted is no failure.
    if (!signal.aborted) fail(error);
  }

  if (exit === EXIT.done && !(await reports.settled(GOODBYE))) {
    log("later", { reports: reports.underWay });
    exit = EXIT.later;
  }
  await connection.stop();
  log("stopped", { exit });
  return exit;
}

async function doTask(task: Task, work: WorkHubClient, reports: Reports, signal: AbortSignal): Promise<void> {
  const { taskId } = task;
  log("task", { taskId, from: task.step + 1 });
  const steps = job(task, signal);
  try {
    for (;;) {
      const { done, value } = await steps.next();
      if (done) {
        await reports.add("CompleteTask", work.completeTask(taskId, value));
        log("done", { taskId });
        return;
      }
      await reports.add("ReportProgress", work.report(taskId, value));
      log("step", { taskId, step: value.step });
    }
  } catch (error) {
    if (signal.aborted) return;
    await reports.add("FailTask", work.failTask(taskId, textOf(error), false));
    log("gaveUp", { taskId, error: textOf(error) });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  // Before there was a connection.
  log("failed", { error: textOf(error) });
  process.exitCode = EXIT.settings;
}
