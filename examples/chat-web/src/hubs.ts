import { HubManager, LogLevel, type HubConnection } from "@hubwire/web";
import { ChatHubClient, TaskHubClient, chatHub, taskHub } from "@hubwire/web/hubs";
import { token } from "./demo.js";

/** The hub with which the demo starts tasks. */
const STARTER = "/hubs/demo";

/** A task that ran before this page followed it. */
export interface RunningTask {
  readonly taskId: string;
  readonly taskType: string;
  readonly title: string;
}

/** Everything of the server that the page uses. */
export interface Hubs {
  readonly chat: ChatHubClient;
  readonly tasks: TaskHubClient;
  listTasks(): Promise<RunningTask[]>;
  startTask(kind: string): Promise<string>;
  cancelTask(taskId: string): Promise<void>;
}

/** Makes the connections; nothing is connected yet. `positions` is where an earlier page stood in the conversations. */
export const makeHubs = (url: string, user: string, positions: readonly string[]): Hubs & { connect(): void } => {
  const manager = new HubManager(url, {
    http: { accessTokenFactory: () => token(user), logger: LogLevel.None },
    configure: (builder, path) => {
      builder.withResilience();
      if (path === chatHub.path) {
        // What was written outlives the page.
        builder.withOutbox({ store: `chat-${user}` }).withPositions(positions);
        // The hub has no such method: what counts is how soon it says so.
        builder.withQuality({ pingMethod: "Ping" });
      }
    },
  });
  const chat = new ChatHubClient(manager.hub(chatHub));
  const tasks = new TaskHubClient(manager.hub(taskHub), (hub) => manager.hub(hub));
  const starter = manager.hub(STARTER);
  const ask = <T>(method: string, ...args: unknown[]): Promise<T> =>
    // A click is for now: it does not wait for the server to be back.
    starter.call<T>(method, args, { queue: false });
  return {
    chat,
    tasks,
    listTasks: () => starter.invoke<RunningTask[]>("ListTasks"),
    startTask: (kind) => ask<string>("StartTask", kind),
    cancelTask: (taskId) => ask<void>("CancelTask", taskId),
    connect: () => {
      for (const connection of [chat.connection, tasks.connection, starter]) {
        start(connection);
      }
    },
  };
};

/** With resilience the first start is tried for ever, too; only leaving the page ends it. */
const start = (connection: HubConnection): void => {
  connection.start().catch((error: unknown) => console.warn("A connection could not be started.", error));
};
