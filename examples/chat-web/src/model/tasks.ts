import type { TaskProgress } from "@hubwire/web/hubs";
import { HubConnectionState } from "@hubwire/web";
import type { Hubs } from "../hubs.js";
import { makeChanges, type Changes } from "./changes.js";

export type Outcome = "running" | "completed" | "failed" | "cancelled" | "unknown";

export interface Task {
  readonly id: string;
  readonly kind: string;
  title: string;
  percentage: number;
  text: string;
  outcome: Outcome;
}

/** The kinds of tasks that the demo can start. */
export const KINDS = ["render", "index", "train"] as const;

/** How many tasks that are over are shown. */
const ENDED = 5;

export interface Tasks {
  readonly changes: Changes;
  readonly all: readonly Task[];
  readonly state: HubConnectionState;
  /** How often progress came, and how often only what had changed. */
  readonly updates: { total: number; deltas: number };
  /** Why the last click came to nothing. */
  readonly problem: string | undefined;
  start(kind: string): void;
  cancel(task: Task): void;
}

const number = (value: unknown): number => (typeof value === "number" ? value : 0);

/** What is known of a task besides its percentage. */
const textOf = ({ message, done, total, unit }: TaskProgress): string =>
  [message ?? "", total ? `${number(done).toLocaleString()} of ${number(total).toLocaleString()} ${unit}` : ""]
    .filter(Boolean)
    .join(" · ");

export const makeTasks = ({ tasks: hub, listTasks, startTask, cancelTask }: Hubs): Tasks => {
  const { connection } = hub;
  const changes = makeChanges();
  const tasks = new Map<string, Task>();
  const updates = { total: 0, deltas: 0 };
  let problem: string | undefined;

  const complain = (error: unknown): void => {
    problem = error instanceof Error ? error.message : String(error);
    changes.tell();
  };
  const attempt = (action: Promise<unknown>): void => {
    problem = undefined;
    action.catch(complain);
    changes.tell();
  };
  const follow = (id: string, kind: string, title: string): void => {
    if (!tasks.has(id)) {
      tasks.set(id, { id, kind, title, percentage: 0, text: "Starting", outcome: "running" });
      hub.subscribeToTask(id).catch(complain);
      changes.tell();
    }
  };
  const end = (id: string, outcome: Outcome, text: string): void => {
    const task = tasks.get(id);
    if (task?.outcome === "running") {
      Object.assign(task, { outcome, text }, outcome === "completed" ? { percentage: 100 } : {});
      hub.unsubscribeFromTask(id).catch(() => {});
      const ended = [...tasks.values()].filter((other) => other.outcome !== "running");
      ended.slice(0, Math.max(ended.length - ENDED, 0)).forEach((other) => tasks.delete(other.id));
      changes.tell();
    }
  };

  hub.on("taskStarted", ({ taskId, taskType, metadata }) => follow(taskId, taskType, String(metadata["title"] ?? taskType)));
  hub.on("taskProgress", (progress) => {
    const task = tasks.get(progress.taskId);
    if (task?.outcome === "running") {
      updates.total++;
      task.percentage = progress.progressPercentage;
      task.text = textOf(progress);
      changes.tell();
    }
  });
  // Only to count them: the handler above gets the whole object.
  connection.on("TaskProgressDelta", ({ full }: { full?: boolean }) => void (updates.deltas += full ? 0 : 1));
  hub.on("taskCompleted", ({ taskId }) => end(taskId, "completed", "Done"));
  hub.on("taskFailed", ({ taskId, error }) => end(taskId, "failed", error));
  hub.on("taskCancelled", ({ taskId, reason }) => end(taskId, "cancelled", `Cancelled ${reason ?? ""}`));
  hub.on("taskTimedOut", ({ taskId, timeoutSeconds }) => end(taskId, "failed", `Took more than ${timeoutSeconds} s`));

  /** After each new connection: tasks that have begun meanwhile, and those that the server does not know any more. */
  const catchUp = async (): Promise<void> => {
    const running = await listTasks();
    running.forEach(({ taskId, taskType, title }) => follow(taskId, taskType, title));
    const known = new Set(running.map(({ taskId }) => taskId));
    for (const { id } of [...tasks.values()].filter((task) => task.outcome === "running" && !known.has(task.id))) {
      end(id, "unknown", "The server does not know of it any more");
    }
  };
  connection.onStateChanged(({ to }) => {
    if (to === HubConnectionState.Connected) {
      catchUp().catch(complain);
    }
    changes.tell();
  });
  for (const kind of KINDS) {
    hub.subscribeToTaskType(kind).catch(complain);
  }

  return {
    changes,
    updates,
    get all() {
      return [...tasks.values()].reverse();
    },
    get state() {
      return connection.state;
    },
    get problem() {
      return problem;
    },
    start: (kind) => attempt(startTask(kind)),
    cancel: ({ id }) => attempt(cancelTask(id)),
  };
};
