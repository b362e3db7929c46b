/**
 * The API that `@hubwire/web` and `@hubwire/node` share. Each adds its `HubConnectionBuilder` and its encodings.
 *
 * @module
 */
export { BaseHubConnectionBuilder, type IStatefulReconnectOptions } from "./builder.js";
export type {
  AckMode,
  ConnectionEvent,
  DeliveryOptions,
  ErrorKind,
  GapSource,
  Grade,
  Hint,
  HubProtocol,
  Metrics,
  Milliseconds,
  OutboxProgress,
  Priority,
  Quality,
  RetrySchedule,
} from "./backend.js";
export { HubConnection } from "./connection.js";
export { AbortError, HttpError, HubError, TimeoutError } from "./errors.js";
export { DefaultHttpClient, HttpClient, HttpResponse, type HttpRequest } from "./http.js";
export { LogLevel, NullLogger, type ILogger } from "./logging.js";
export { MessageType } from "./messages.js";
export type {
  AckMessage,
  CancelInvocationMessage,
  CloseMessage,
  CompletionMessage,
  HubInvocationMessage,
  HubMessage,
  HubMessageBase,
  IHubProtocol,
  InvocationMessage,
  MessageHeaders,
  PingMessage,
  SequenceMessage,
  StreamInvocationMessage,
  StreamItemMessage,
} from "./messages.js";
export type {
  Call,
  CallOptions,
  HubEvents,
  OutboxOptions,
  RestoredHubCall,
  StateCause,
  StateChange,
  StreamCallOptions,
  Unsubscribe,
} from "./options.js";
export { RetryPolicies, type IRetryPolicy, type RetryContext, type RetryOptions } from "./retry.js";
export { HubConnectionState } from "./state.js";
export { HubStream } from "./stream.js";
export { Subject, type IStreamResult, type IStreamSubscriber, type ISubscription } from "./subject.js";
export { HttpTransportType, TransferFormat, type IHttpConnectionOptions } from "./transports.js";
export { VERSION } from "./version.js";
