/**
 * Compiled and never run: shows that what this package exports can stand where the types of `@microsoft/signalr` are
 * expected, so that changing the import is all. Private members make classes of the two packages different by name, so
 * their public members are compared.
 */
import type * as official from "@microsoft/signalr";
import * as ours from "../src/index.js";
import { HubConnectionBuilder } from "./fake-backend.js";

type Public<T> = Pick<T, keyof T>;
/** Enums are different by name, too; their values are compared below. */
type Value<E> = E extends string
  ? `${E}`
  : E extends number
    ? `${E}` extends `${infer N extends number}`
      ? N
      : never
    : never;

// The connection, member by member but `state`, whose type is an enum.
type Connection = Omit<Public<official.HubConnection>, "state">;
declare const connection: ours.HubConnection;
export const asOfficial: Connection = connection;
export const asState: Value<official.HubConnectionState> = connection.state;

// All that official applications call on a builder, with their arguments.
type Builder = Public<official.HubConnectionBuilder>;
declare const options: Omit<official.IHttpConnectionOptions, "transport" | "logger" | "httpClient">;
declare const policy: official.IRetryPolicy;
declare const protocol: official.IHubProtocol;
declare const stateful: official.IStatefulReconnectOptions;
export const built: ours.HubConnection = new HubConnectionBuilder()
  .configureLogging("info")
  .configureLogging(ours.LogLevel.Debug)
  .configureLogging(ours.NullLogger.instance)
  .withUrl("/hub")
  .withUrl("/hub", ours.HttpTransportType.WebSockets | ours.HttpTransportType.LongPolling)
  .withUrl("/hub", options)
  .withHubProtocol(protocol)
  .withAutomaticReconnect()
  .withAutomaticReconnect([0, 1])
  .withAutomaticReconnect(policy)
  .withServerTimeout(1)
  .withKeepAliveInterval(1)
  .withStatefulReconnect()
  .withStatefulReconnect(stateful)
  .build();
export const methods: Record<keyof Builder, unknown> = new HubConnectionBuilder();

// What applications implement for the official package fits ours, and the other way round.
declare const officialLogger: { log(level: number, message: string): void };
export const logger: ours.ILogger = officialLogger;
export const retryPolicy: ours.IRetryPolicy = policy;
export const officialPolicy: official.IRetryPolicy = {} as ours.IRetryPolicy;
export const context: official.RetryContext = {} as ours.RetryContext;
export const subject: Public<official.Subject<number>> = new ours.Subject<number>();
export const result: official.IStreamResult<number> = connection.stream<number>("Count");
export const subscription: official.ISubscription<number> = result.subscribe({} as ours.IStreamSubscriber<number>);
export const subscriber: ours.IStreamSubscriber<number> = {} as official.IStreamSubscriber<number>;
export const response: Public<official.HttpResponse> = new ours.HttpResponse(200, "OK", "");
export const headers: official.MessageHeaders = {} as ours.MessageHeaders;
export const request: Omit<official.HttpRequest, "abortSignal"> = {} as Omit<ours.HttpRequest, "abortSignal">;
class Client extends ours.HttpClient {
  override async send(sent: ours.HttpRequest): Promise<ours.HttpResponse> {
    return new ours.HttpResponse(sent.method === "GET" ? 200 : 404);
  }
}
export const httpOptions: ours.IHttpConnectionOptions = { httpClient: new Client() };
export const errors: [Public<official.HttpError>, Public<official.TimeoutError>, Public<official.AbortError>] = [
  new ours.HttpError("text", 500),
  new ours.TimeoutError(),
  new ours.AbortError("text"),
];
export const version: string = ours.VERSION;

// Messages, but for the enum of their types.
type Untyped<T> = T extends unknown ? Omit<T, "type"> : never;
export const messages: Untyped<official.HubMessage> = {} as Untyped<ours.HubMessage>;

// Enums have the same names and values.
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
type Names<E> = { [K in keyof E]: Value<E[K]> };
export const enums: [
  Same<Names<typeof official.LogLevel>, Names<typeof ours.LogLevel>>,
  Same<Names<typeof official.HttpTransportType>, Names<typeof ours.HttpTransportType>>,
  Same<Names<typeof official.TransferFormat>, Names<typeof ours.TransferFormat>>,
  Same<Names<typeof official.MessageType>, Names<typeof ours.MessageType>>,
  Same<Names<typeof official.HubConnectionState>, Names<typeof ours.HubConnectionState>>,
] = [true, true, true, true, true];

// Nothing that has a value there is missing here, but for what the platforms add.
export const values: Record<
  Exclude<keyof typeof official, "HubConnectionBuilder" | "JsonHubProtocol" | "default">,
  unknown
> = ours;
