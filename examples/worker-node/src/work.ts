/** The hub of those who give and do tasks, typed: see `server/src/hub.rs`. */
import type { Call, HubConnection } from "@hubwire/node";
import { HubClient, type EventShape, type HubDefinition } from "@hubwire/node/hubs";

/** What `HubManager`, or `configureHub`, needs to know of the hub. */
export const workHub: HubDefinition = { path: "/hubs/work", joins: [{ join: "FollowAnnouncements" }] };

/** A task, as the server gives it to its worker. */
export interface Task {
  readonly taskId: string;
  readonly taskType: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The last step that the server has; 0 if there is none. */
  readonly step: number;
}

/** How far a task is. Followers get of it what is not as it was. */
export interface Report {
  /** From 1 on. The server refuses one that is not the next. */
  readonly step: number;
  /** 0 to 100. */
  readonly progressPercentage: number;
  readonly message?: string;
  readonly [detail: string]: unknown;
}

export interface Announcement {
  readonly text: string;
  readonly from: string;
}

type WorkMethods = {
  FollowAnnouncements(): void;
  TakeTask(): Task | null;
  ReportProgress(taskId: string, report: Report): void;
  CompleteTask(taskId: string, result: unknown): void;
  FailTask(taskId: string, error: string, retryable: boolean): void;
  CreateTask(taskId: string, owner: number, taskType: string, metadata: Readonly<Record<string, unknown>>): void;
  Announce(text: string): void;
};

export interface WorkEvents {
  taskAvailable: Record<string, never>;
  announcement: Announcement;
}

const EVENTS: { readonly [K in keyof WorkEvents]: EventShape } = {
  taskAvailable: ["TaskAvailable"],
  announcement: ["Announcement"],
};

/** All methods of this hub but `Announce` know a repetition when they see one: a call is made again if nobody knows what came of it. */
const AGAIN = { idempotent: true };

/** A client of {@link workHub}. */
export class WorkHubClient extends HubClient<WorkMethods, WorkEvents> {
  constructor(connection: HubConnection) {
    super(connection, EVENTS);
  }

  followAnnouncements(): Promise<void> {
    return this.call("FollowAnnouncements", [], AGAIN);
  }

  /** For workers: the task that this one has begun, else the one that waits for longest; null if there is none. */
  takeTask(signal: AbortSignal): Promise<Task | null> {
    return this.call("TakeTask", [], { ...AGAIN, signal });
  }

  /** For workers, as {@link completeTask} and {@link failTask}: `accepted` when it can be lost no more. */
  report(taskId: string, report: Report): Call<void> {
    return this.#durable("ReportProgress", taskId, report);
  }

  completeTask(taskId: string, result: unknown): Call<void> {
    return this.#durable("CompleteTask", taskId, result);
  }

  failTask(taskId: string, error: string, retryable: boolean): Call<void> {
    return this.#durable("FailTask", taskId, error, retryable);
  }

  /** For administrators. Creating a task twice is creating it once. */
  createTask(taskId: string, owner: number, taskType: string, metadata: Task["metadata"]): Promise<void> {
    return this.call("CreateTask", [taskId, owner, taskType, metadata], AGAIN);
  }

  /** For administrators: to every worker, and to those that are away when they are back. */
  announce(text: string): Promise<void> {
    return this.invoke("Announce", text);
  }

  #durable<K extends keyof WorkMethods>(method: K, ...args: Parameters<WorkMethods[K]>): Call<void> {
    return this.connection.call(method, args, { ...AGAIN, durable: true });
  }
}
