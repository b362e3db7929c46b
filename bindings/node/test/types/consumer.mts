/** Compiled and never run: an application in strict TypeScript, as one would write it. */
import {
  AbortError,
  HttpTransportType,
  HubConnection,
  HubConnectionBuilder,
  HubConnectionState,
  HubError,
  HubManager,
  JsonHubProtocol,
  LogLevel,
  RetryPolicies,
  Subject,
  type Call,
  type ErrorKind,
  type HubStream,
  type IHttpConnectionOptions,
  type IRetryPolicy,
  type StateChange,
} from "@hubwire/node";
import { ChatHubClient } from "@hubwire/node/hubs";
import { MessagePackHubProtocol } from "@hubwire/node/msgpack";

interface Message {
  readonly id: string;
  readonly text: string;
}

const policy: IRetryPolicy = {
  nextRetryDelayInMilliseconds: ({ previousRetryCount, elapsedMilliseconds, retryReason }) =>
    previousRetryCount < 5 && elapsedMilliseconds < 1_000 && retryReason instanceof HubError ? 100 : null,
};

const options: IHttpConnectionOptions = {
  transport: HttpTransportType.WebSockets | HttpTransportType.LongPolling,
  headers: { "X-Tenant": "a" },
  accessTokenFactory: async () => "token",
  timeout: 5_000,
};

export async function application(): Promise<Message[]> {
  const connection: HubConnection = new HubConnectionBuilder()
    .withUrl("http://127.0.0.1:8080/hubs/chat", options)
    .withHubProtocol(new MessagePackHubProtocol())
    .withAutomaticReconnect(policy, { jitter: true })
    .withOutbox({ store: "outbox.redb", whenFull: "dropOldest" })
    .configureLogging(LogLevel.Warning)
    .build();
  connection.on("ReceiveMessage", (message: Message) => console.log(message.text));
  connection.onclose((error?: Error) => console.log(error?.message));
  connection.onStateChanged(({ from, to, cause }: StateChange) => {
    const kind: ErrorKind | undefined = cause.type === "failed" ? cause.error.kind : undefined;
    console.log(from, to === HubConnectionState.Connected, kind);
  });
  connection.onEvent("retryScheduled", ({ delay, reason }) => console.log(delay + 1, reason.kind));
  await connection.start();
  const sum: number = await connection.invoke<number>("Add", 1, 2);
  const call: Call<void> = connection.call<void>("SendMessage", ["general", "hello"], { durable: true, signal: AbortSignal.timeout(1_000) });
  await call.accepted;
  const stream: HubStream<Message> = connection.stream<Message>("History", sum);
  const messages: Message[] = [];
  for await (const message of stream) messages.push(message);
  const subject = new Subject<number>();
  void connection.invoke("Sum", subject);
  subject.next(1);
  try {
    await connection.stop();
  } catch (error) {
    if (error instanceof AbortError) console.log(error.kind);
  }
  const other = new HubConnectionBuilder()
    .withUrl("http://127.0.0.1:8080/hubs/chat")
    .withHubProtocol(new JsonHubProtocol())
    .withAutomaticReconnect(RetryPolicies.fullJitter({ cap: 10_000 }))
    .build();
  void new ChatHubClient(other);
  void new HubManager("http://127.0.0.1:8080");
  return messages;
}

// What is wrong is refused by the compiler.
const builder = new HubConnectionBuilder();
// @ts-expect-error an address is a text
builder.withUrl(5);
// @ts-expect-error a time is a number
builder.withServerTimeout("soon");
// @ts-expect-error there is no such policy for a full outbox
builder.withOutbox({ whenFull: "explode" });
// @ts-expect-error a handler is a function
builder.withUrl("x").build().on("x", "y");
// @ts-expect-error there is no such option of a call
void builder.build().call("x", [], { urgent: true });
