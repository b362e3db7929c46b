/** Watches tasks until they have ended: `node watcher.js TASK-ID…`. Its token names their owner, or an administrator. */
import { log, textOf } from "./log.js";
import { EXIT, SettingsError } from "./settings.js";
import { watch } from "./watch.js";

try {
  const taskIds = process.argv.slice(2);
  if (taskIds.length === 0) throw new SettingsError("Which tasks? Give their ids.");
  const { ends, connection } = await watch(taskIds, (progress) => log("progress", progress));
  const ended = [...(await ends).values()];
  for (const end of ended) log("end", { ...end });
  await connection.stop();
  process.exitCode = ended.every(({ completed }) => completed) ? EXIT.done : EXIT.failed;
} catch (error) {
  log("failed", { error: textOf(error) });
  process.exit(error instanceof SettingsError ? EXIT.settings : EXIT.failed);
}
