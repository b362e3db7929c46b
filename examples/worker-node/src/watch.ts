/** Follows tasks to their end. */
import type { HubConnection } from "@hubwire/node";
import { TaskHubClient, taskHub, type TaskProgress } from "@hubwire/node/hubs";
import { builderFor } from "./builder.js";
import { log } from "./log.js";

/** How a task ended. */
export interface End {
  readonly taskId: string;
  readonly completed: boolean;
  /** The result, or the error. */
  readonly value: unknown;
}

export interface Watcher {
  /** Fulfilled when all tasks have ended. */
  readonly ends: Promise<ReadonlyMap<string, End>>;
  readonly connection: HubConnection;
}

/** Connects and follows the tasks, over every new connection. `progress` gets the whole object, though only changes travel. */
export async function watch(taskIds: readonly string[], progress: (progress: TaskProgress) => void): Promise<Watcher> {
  const connection = builderFor(taskHub).build();
  const tasks = new TaskHubClient(connection);
  const ended = new Map<string, End>();
  const ends = new Promise<ReadonlyMap<string, End>>((resolve) => {
    const end = (taskId: string, completed: boolean, value: unknown): void => {
      ended.set(taskId, { taskId, completed, value });
      if (ended.size === taskIds.length) resolve(ended);
    };
    tasks.on("taskCompleted", ({ taskId, result }) => end(taskId, true, result));
    tasks.on("taskFailed", ({ taskId, error }) => end(taskId, false, error));
  });
  tasks.on("taskStarted", ({ taskId, metadata }) => log("started", { taskId, metadata }));
  tasks.on("taskProgress", progress);
  connection.onStateChanged(({ to }) => log("state", { state: to }));
  await connection.start();
  await Promise.all(taskIds.map((taskId) => tasks.subscribeToTask(taskId)));
  return { ends, connection };
}
