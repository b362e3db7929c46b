/** Gives tasks to the workers and tells them something: `node publisher.js --tasks 3 --announce TEXT`. For administrators. */
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { builderFor } from "./builder.js";
import { log, textOf } from "./log.js";
import { EXIT, SettingsError } from "./settings.js";
import { watch } from "./watch.js";
import { workHub, WorkHubClient } from "./work.js";

function count(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new SettingsError(`--${name} is no count: ${text}`);
  return value;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      tasks: { type: "string", default: "1" },
      steps: { type: "string", default: "20" },
      "step-milliseconds": { type: "string", default: "250" },
      owner: { type: "string", default: "1" },
      announce: { type: "string" },
      watch: { type: "boolean", default: false },
    },
  });
  const [tasks, steps, owner] = [count(values.tasks, "tasks"), count(values.steps, "steps"), count(values.owner, "owner")];
  const stepMilliseconds = count(values["step-milliseconds"], "step-milliseconds");

  const connection = builderFor(workHub).build();
  const work = new WorkHubClient(connection);
  await connection.start();
  if (values.announce) {
    await work.announce(values.announce);
    log("announced", { text: values.announce });
  }
  const taskIds = Array.from({ length: tasks }, () => randomUUID());
  for (const taskId of taskIds) {
    await work.createTask(taskId, owner, "render", { title: "Render trailer", steps, stepMilliseconds });
    log("created", { taskId });
  }
  await connection.stop();
  if (!values.watch || tasks === 0) return EXIT.done;

  const watcher = await watch(taskIds, (progress) => log("progress", progress));
  const ends = [...(await watcher.ends).values()];
  for (const end of ends) log("end", { ...end });
  await watcher.connection.stop();
  return ends.every(({ completed }) => completed) ? EXIT.done : EXIT.failed;
}

try {
  process.exitCode = await main();
} catch (error) {
  log("failed", { error: textOf(error) });
  // Nothing is left to be done, whatever connection there is.
  process.exit(error instanceof SettingsError || error instanceof TypeError ? EXIT.settings : EXIT.failed);
}
