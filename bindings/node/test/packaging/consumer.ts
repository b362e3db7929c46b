// Compiled in strict projects of both kinds of modules; what runs is beside it.
import {
  HttpTransportType,
  HubConnectionBuilder,
  HubConnectionState,
  HubError,
  HubManager,
  JsonHubProtocol,
  RetryPolicies,
  type HubConnection,
  type INodeHttpConnectionOptions,
} from "@hubwire/node";
import { TaskHubClient, taskHub, type TaskProgress } from "@hubwire/node/hubs";
import { MessagePackHubProtocol } from "@hubwire/node/msgpack";

const options: INodeHttpConnectionOptions = {
  transport: HttpTransportType.WebSockets,
  accessTokenFactory: async () => "token",
  proxy: false,
  ca: ["PEM"],
  headers: { a: "b" },
};

export const connection: HubConnection = new HubConnectionBuilder()
  .withUrl("https://example.org/hub", options)
  .withHubProtocol(new MessagePackHubProtocol())
  .withAutomaticReconnect(RetryPolicies.fullJitter({ cap: 5_000 }), { firstStart: true })
  .withOutbox({ store: "outbox.redb" })
  .build();

// @ts-expect-error: a proxy is a text, or false.
export const refused: INodeHttpConnectionOptions = { proxy: 5 };

export async function use(): Promise<readonly [number, string]> {
  const manager = new HubManager("https://example.org", { http: options, configure: (builder) => builder.withResilience() });
  const tasks = new TaskHubClient(manager.hub(taskHub));
  tasks.on("taskProgress", ({ progressPercentage }: TaskProgress) => progressPercentage.toFixed());
  const sum = await connection.call<number>("Add", [1, 2], { timeout: 1_000, durable: true });
  for await (const item of connection.stream<string>("Count", 3)) item.trim();
  const error: unknown = new HubError("Timeout", "late");
  const kind = error instanceof HubError ? error.kind : "";
  return [sum, connection.state === HubConnectionState.Connected ? new JsonHubProtocol().name : kind];
}
