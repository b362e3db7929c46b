import type { HubConnection } from "../connection.js";
import type { EventShape, HubDefinition } from "./client.js";
import { HubClient } from "./client.js";

const PING = "Ping";
const TASK_JOIN = { join: "SubscribeToTask", leave: "UnsubscribeFromTask" };

/** The hub of all tasks. What was subscribed to is subscribed to again after a new connection. */
export const taskHub: HubDefinition = {
  path: "/hubs/tasks",
  joins: [TASK_JOIN, { join: "SubscribeToTaskType", leave: "UnsubscribeFromTaskType" }],
  pingMethod: PING,
};

/** The hub of tasks that make videos. */
export const videoHub: HubDefinition = { path: "/hubs/video-generation", joins: [TASK_JOIN], pingMethod: PING };

/** The hub of tasks that make images. */
export const imageHub: HubDefinition = { path: "/hubs/image-generation", joins: [TASK_JOIN], pingMethod: PING };

export interface TaskStarted {
  readonly taskId: string;
  readonly taskType: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * How far a task is. From a Hubwire server always the whole object, though only what has changed is sent; other servers
 * say the first two or three.
 */
export interface TaskProgress {
  readonly taskId: string;
  /** 0 to 100. */
  readonly progressPercentage: number;
  readonly message?: string | null;
  readonly status?: string;
  /** ISO 8601. */
  readonly timestamp?: string;
  readonly [detail: string]: unknown;
}

export interface TaskCompleted {
  readonly taskId: string;
  readonly result: unknown;
}

export interface TaskFailed {
  readonly taskId: string;
  readonly error: string;
  readonly isRetryable: boolean;
}

export interface TaskCancelled {
  readonly taskId: string;
  readonly reason?: string | null;
}

export interface TaskTimedOut {
  readonly taskId: string;
  readonly timeoutSeconds: number;
}

type TaskMethods = {
  SubscribeToTask(taskId: string): void;
  UnsubscribeFromTask(taskId: string): void;
  SubscribeToTaskType(taskType: string): void;
  UnsubscribeFromTaskType(taskType: string): void;
  Ping(): number;
};

/** What {@link TaskHubClient.on} tells. */
export interface TaskEvents {
  taskStarted: TaskStarted;
  taskProgress: TaskProgress;
  taskCompleted: TaskCompleted;
  taskFailed: TaskFailed;
  taskCancelled: TaskCancelled;
  taskTimedOut: TaskTimedOut;
}

const EVENTS: { readonly [K in keyof TaskEvents]: EventShape } = {
  taskStarted: ["TaskStarted", "taskId", "taskType", "metadata"],
  taskProgress: ["TaskProgress", "taskId", "progressPercentage", "message"],
  taskCompleted: ["TaskCompleted", "taskId", "result"],
  taskFailed: ["TaskFailed", "taskId", "error", "isRetryable"],
  taskCancelled: ["TaskCancelled", "taskId", "reason"],
  taskTimedOut: ["TaskTimedOut", "taskId", "timeoutSeconds"],
};

/**
 * A client of {@link taskHub}: `new TaskHubClient(manager.hub(taskHub), (hub) => manager.hub(hub))`. Who subscribes
 * gets the present state of the task as an event.
 */
export class TaskHubClient extends HubClient<TaskMethods, TaskEvents> {
  readonly #hub: ((hub: HubDefinition) => HubConnection) | undefined;
  /** Asked for once: it counts as held. */
  readonly #others = new Map<HubDefinition, HubConnection>();

  /** With `hub`, tasks whose type says that they make videos or images are subscribed to on the hub for those, too. */
  constructor(connection: HubConnection, hub?: (hub: HubDefinition) => HubConnection) {
    super(connection, EVENTS);
    this.#hub = hub;
  }

  /** Begins to follow a task of one's own. */
  subscribeToTask(taskId: string, taskType?: string): Promise<void> {
    return this.#each("SubscribeToTask", taskId, taskType);
  }

  unsubscribeFromTask(taskId: string, taskType?: string): Promise<void> {
    return this.#each("UnsubscribeFromTask", taskId, taskType);
  }

  /** Begins to hear of the start of tasks of that type. */
  subscribeToTaskType(taskType: string): Promise<void> {
    return this.invoke("SubscribeToTaskType", taskType);
  }

  unsubscribeFromTaskType(taskType: string): Promise<void> {
    return this.invoke("UnsubscribeFromTaskType", taskType);
  }

  /** The time of the server, in milliseconds since 1970. */
  ping(): Promise<number> {
    return this.invoke(PING);
  }

  async #each(method: "SubscribeToTask" | "UnsubscribeFromTask", taskId: string, taskType = ""): Promise<void> {
    const calls: Promise<void>[] = [this.invoke(method, taskId)];
    const hub = taskType.includes("video") ? videoHub : taskType.includes("image") ? imageHub : undefined;
    if (hub && this.#hub) {
      const other = this.#others.get(hub) ?? this.#hub(hub);
      this.#others.set(hub, other);
      calls.push(other.invoke(method, taskId));
    }
    await Promise.all(calls);
  }
}
